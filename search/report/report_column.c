#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/report_impl.h"

df_status df_column_add(df_column *c, double value, df_err *err)
{
    if (c->count == c->room) {
        const int64_t room = c->room > 0 ? 2 * c->room : 1024;
        double *const values = realloc(c->value, (size_t)room * sizeof *values);
        if (!values) {
            return df_fail(err, DF_ENOMEM, "out of memory");
        }
        c->value = values;
        c->room = room;
    }
    c->value[c->count++] = value;
    return DF_OK;
}

void df_report_real(json_t *object, const char *key, double value)
{
    json_object_set_new(object, key, isfinite(value) ? json_real(value) : json_null());
}

/* ---- Packing ---- */

typedef enum { U8, U16, I32, F32, F64 } packing;

static const struct {
    const char *name;
    size_t bytes;
} packings[] = {[U8] = {"u8", 1},
                [U16] = {"u16", 2},
                [I32] = {"i32", 4},
                [F32] = {"f32", 4},
                [F64] = {"f64", 8}};

/* The smallest that holds all. */
static packing choose(const df_column *c)
{
    double low = 0;
    double high = 0;
    if (c->kind != DF_COLUMN_WHOLE) {
        return c->kind == DF_COLUMN_ROUNDED ? F32 : F64;
    }
    for (int64_t i = 0; i < c->count; i++) {
        low = fmin(low, c->value[i]);
        high = fmax(high, c->value[i]);
    }
    if (low < 0 || high > UINT16_MAX) {
        return low >= INT32_MIN && high <= INT32_MAX ? I32 : F64;
    }
    return high > UINT8_MAX ? U16 : U8;
}

/* Browsers are little-endian, and so are the machines that we build for. */
static void pack(double value, packing how, unsigned char *to)
{
    const uint8_t u8 = how == U8 ? (uint8_t)value : 0;
    const uint16_t u16 = how == U16 ? (uint16_t)value : 0;
    const int32_t i32 = how == I32 ? (int32_t)value : 0;
    const float f32 = how == F32 ? (float)value : 0;
    const void *const from[] = {
        [U8] = &u8, [U16] = &u16, [I32] = &i32, [F32] = &f32, [F64] = &value};
    memcpy(to, from[how], packings[how].bytes);
}

/* RFC 4648. `size` bytes, then three of 0. A malloc'ed text, NULL when out of memory. */
static char *base64(const unsigned char *bytes, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const size_t groups = (size + 2) / 3;
    char *const text = malloc(4 * groups + 1);
    if (!text) {
        return NULL;
    }
    for (size_t i = 0; i < groups; i++) {
        const unsigned char *const b = bytes + 3 * i;
        const uint32_t bits = (uint32_t)b[0] << 16 | (uint32_t)b[1] << 8 | b[2];
        for (size_t k = 0; k < 4; k++) {
            text[4 * i + k] = digits[bits >> (18 - 6 * k) & 63];
        }
    }
    for (size_t k = size; k < 3 * groups; k++) {
        text[4 * groups - (3 * groups - k)] = '=';
    }
    text[4 * groups] = '\0';
    return text;
}

static json_t *packed(const df_column *c)
{
    const packing how = choose(c);
    const size_t size = (size_t)c->count * packings[how].bytes;
    unsigned char *const bytes = calloc(1, size + 3);
    if (!bytes) {
        return NULL;
    }
    for (int64_t i = 0; i < c->count; i++) {
        pack(c->value[i], how, bytes + (size_t)i * packings[how].bytes);
    }
    char *const text = base64(bytes, size);
    json_t *const json = json_object();
    json_object_set_new(json, "t", json_string(packings[how].name));
    json_object_set_new(json, "b", text ? json_string_nocheck(text) : NULL);
    free(text);
    free(bytes);
    return json;
}

static bool is_constant(const df_column *c)
{
    for (int64_t i = 1; i < c->count; i++) {
        const double a = c->value[0];
        const double b = c->value[i];
        if (!(a == b || (isnan(a) && isnan(b)))) {
            return false;
        }
    }
    return c->count > 0;
}

json_t *df_column_json(df_column *c)
{
    json_t *json;
    if (is_constant(c)) {
        json = json_object();
        df_report_real(json, "c", c->value[0]);
    } else {
        json = packed(c);
    }
    free(c->value);
    c->value = NULL;
    c->count = 0;
    c->room = 0;
    return json;
}
