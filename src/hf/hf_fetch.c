#include "hf/hf.h"

#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

/* A config.json has some kilobytes. */
enum { MOST_BYTES = 4 << 20, REDIRECTS = 10 };

typedef struct {
    char *text;
    size_t size;
    bool too_much;
} received;

/* libcurl's: takes what has come in; anything but its size ends the transfer. */
static size_t take(char *data, size_t item, size_t count, void *to)
{
    received *const r = to;
    const size_t size = item * count;
    r->too_much = size > MOST_BYTES - r->size;
    char *const text = r->too_much ? NULL : realloc(r->text, r->size + size + 1);
    if (!text) {
        return 0;
    }
    memcpy(text + r->size, data, size);
    r->text = text;
    r->size += size;
    text[r->size] = '\0';
    return size;
}

static bool set_up(CURL *curl, const char *address, const df_hf_source *source, received *r)
{
    const long timeout_ms = (long)(source->timeout_s * 1e3);
    const long connect_ms = timeout_ms < 10000 ? timeout_ms : 10000;
    bool ok = curl_easy_setopt(curl, CURLOPT_URL, address) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https") == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "https") == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)REDIRECTS) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, timeout_ms) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, connect_ms) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_USERAGENT, "deepflow") == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_WRITEDATA, r) == CURLE_OK;
    if (ok && source->ca_file) {
        ok = curl_easy_setopt(curl, CURLOPT_CAINFO, source->ca_file) == CURLE_OK;
    }
    if (ok && source->token) { /* libcurl does not send it on to another host */
        ok = curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER) == CURLE_OK &&
             curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, source->token) == CURLE_OK;
    }
    return ok;
}

static df_status fail_transfer(
    const char *address, CURLcode code, const char *detail, const df_hf_source *source, df_err *err)
{
    const char *const why = detail[0] != '\0' ? detail : curl_easy_strerror(code);
    if (code == CURLE_OPERATION_TIMEDOUT) {
        return df_fail(
            err, DF_EIO,
            "%s: no answer within %g s (--timeout): %s; offline, give a config.json, its "
            "folder, or a model in HuggingFace's cache",
            address, source->timeout_s, why);
    }
    return df_fail(err, DF_EIO,
                   "%s: cannot be reached: %s; offline, give a config.json, its folder, or a model "
                   "in HuggingFace's cache",
                   address, why);
}

/* What the server answered. It takes a model that is not there for one that is not open. */
static df_status check_answer(const char *address, long code, df_err *err)
{
    if (code == 200) {
        return DF_OK;
    }
    if (code == 401 || code == 403) {
        return df_fail(err, DF_EINVAL,
                       "%s: there is no such model, or it is not open to all (set HF_TOKEN): the "
                       "server answers %ld",
                       address, code);
    }
    if (code == 404) {
        return df_fail(err, DF_EINVAL, "%s: expected a model with a config.json, found none",
                       address);
    }
    return df_fail(err, DF_EIO, "%s: the server answers %ld", address, code);
}

static df_status
transfer(CURL *curl, const char *address, const df_hf_source *source, received *r, df_err *err)
{
    char detail[CURL_ERROR_SIZE] = "";
    long answer = 0;
    if (!set_up(curl, address, source, r) ||
        curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail) != CURLE_OK) {
        return df_fail(err, DF_ERUNTIME, "%s: libcurl cannot be set up for it", address);
    }
    const CURLcode code = curl_easy_perform(curl);
    if (r->too_much) {
        return df_fail(err, DF_EINVAL, "%s: expected at most %d bytes, found more", address,
                       (int)MOST_BYTES);
    }
    if (code != CURLE_OK) {
        return fail_transfer(address, code, detail, source, err);
    }
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer);
    return check_answer(address, answer, err);
}

df_status
df_hf_fetch(const char *address, const df_hf_source *source, df_hf_file *file, df_err *err)
{
    received r = {.text = NULL};
    CURL *const curl = curl_easy_init();
    df_status status = DF_OK;
    file->text = NULL;
    if (!curl) {
        return df_fail(err, DF_ENOMEM, "out of memory for libcurl");
    }
    status = transfer(curl, address, source, &r, err);
    curl_easy_cleanup(curl);
    if (status == DF_OK && !r.text) {
        status = df_fail(err, DF_EINVAL, "%s: expected a config.json, found nothing", address);
    }
    if (status != DF_OK) {
        free(r.text);
        return status;
    }
    file->text = r.text;
    file->size = r.size;
    snprintf(file->from, sizeof file->from, "%s", address);
    return DF_OK;
}
