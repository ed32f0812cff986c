/* What the parts of a pipeline hold: scheduling_param.layout, as text and checked against the
 * model. */
#include "config/cfg_layout.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "config/cfg_impl.h"

/* Where reading stands. */
typedef struct {
    const char *text, *at;
    df_cfg_layout *out;
    df_err *err;
} cursor;

static df_status fail_item(const cursor *c)
{
    return df_fail(c->err, DF_EINVAL,
                   "expected E, t, m, L or |, each with *N behind it where there are several, or "
                   "(...)*N, as in \"Et*4|(t*4|)*14tmL\", found \"%.40s\" at character %zu",
                   c->at, (size_t)(c->at - c->text) + 1);
}

/* Repeats what has been written since `first` until it is there `count` times. */
static df_status repeat(const cursor *c, int first, long count)
{
    df_cfg_layout *const out = c->out;
    const int length = out->length - first;
    if (count > DF_LAYOUT_ROOM || first + length * count > DF_LAYOUT_ROOM) {
        return df_fail(c->err, DF_EINVAL, "expected at most %d layers and bars, found more",
                       DF_LAYOUT_ROOM);
    }
    for (long i = 1; i < count; i++) {
        memcpy(&out->thing[out->length], &out->thing[first], (size_t)length);
        out->length += length;
    }
    return DF_OK;
}

/* "*N", or nothing, of what has been written since `first`. */
static df_status read_count(cursor *c, int first)
{
    char *end;
    if (*c->at != '*') {
        return DF_OK;
    }
    if (!isdigit((unsigned char)c->at[1])) {
        return fail_item(c);
    }
    const long count = strtol(c->at + 1, &end, 10);
    if (count < 1) {
        return fail_item(c);
    }
    c->at = end;
    return repeat(c, first, count);
}

static df_status read_thing(cursor *c)
{
    const int first = c->out->length;
    if (*c->at == '\0' || !strchr("EtmL|", *c->at) || (*c->at == '|' && c->at[1] == '*')) {
        return fail_item(c);
    }
    if (first == DF_LAYOUT_ROOM) {
        return repeat(c, first, DF_LAYOUT_ROOM + 1L);
    }
    c->out->thing[c->out->length++] = *c->at++;
    return read_count(c, first);
}

static df_status read_item(cursor *c)
{
    const int first = c->out->length;
    if (*c->at != '(') {
        return read_thing(c);
    }
    c->at++;
    while (*c->at != ')') {
        DF_TRY(read_thing(c));
    }
    c->at++;
    return *c->at == '*' ? read_count(c, first) : fail_item(c);
}

int df_cfg_layout_count(const df_cfg_layout *layout, char thing)
{
    int count = 0;
    for (int i = 0; i < layout->length; i++) {
        count += layout->thing[i] == thing;
    }
    return count;
}

df_status df_cfg_layout_parse(const char *text, df_cfg_layout *out, df_err *err)
{
    cursor c = {text, text, out, err};
    out->length = 0;
    while (*c.at != '\0') {
        DF_TRY(read_item(&c));
    }
    out->parts = df_cfg_layout_count(out, '|') + 1;
    return DF_OK;
}

/* ---- Whether it is of the model ---- */

static df_status
check_count(const df_cfg_layout *layout, char thing, int64_t count, const char *what, df_err *err)
{
    const int found = df_cfg_layout_count(layout, thing);
    return found == count ? DF_OK
                          : df_fail(err, DF_EINVAL, "expected %" PRId64 " times %c (%s), found %d",
                                    count, thing, what, found);
}

df_status df_cfg_check_layout(const df_cfg *cfg, bool degrees, const char **key, df_err *err)
{
    df_cfg_layout layout;
    const df_cfg_sched *const s = &cfg->sched;
    if (s->layout[0] == '\0') {
        return DF_OK;
    }
    *key = "scheduling_param.layout";
    DF_TRY(df_cfg_layout_parse(s->layout, &layout, err));
    DF_TRY(check_count(&layout, 't', cfg->llm.num_layers, "num_layers", err));
    DF_TRY(check_count(&layout, 'm', cfg->llm.shape.prediction_layers, "prediction_layers", err));
    DF_TRY(check_count(&layout, 'E', 1, "the embedding", err));
    DF_TRY(check_count(&layout, 'L', 1, "logits and loss", err));
    if (degrees && layout.parts % s->lp != 0) {
        return df_fail(err, DF_EINVAL,
                       "expected a multiple of lp %" PRId64 " parts, found %d with %d bars between "
                       "them",
                       s->lp, layout.parts, layout.parts - 1);
    }
    return DF_OK;
}
