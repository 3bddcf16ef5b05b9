/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include <string.h>

void strbuf_deinit(struct strbuf *buf) {
        free(buf->text);
        *buf = STRBUF_INIT(buf->limit);
}

void strbuf_reset(struct strbuf *buf) {
        buf->size = 0;
        buf->error = 0;
        if (buf->text)
                buf->text[0] = '\0';
}

/* Makes room for size more bytes and the terminator. */
static int strbuf_grow(struct strbuf *buf, size_t size) {
        size_t needed = buf->size + size + 1, capacity;
        char *text;

        if (buf->error < 0)
                return buf->error;
        if (size > buf->limit || buf->size > buf->limit - size)
                return buf->error = -E2BIG;
        if (needed <= buf->capacity)
                return 0;
        capacity = MAX(needed, MIN(MAX(buf->capacity * 2, (size_t) 64), buf->limit + 1));
        text = realloc(buf->text, capacity);
        if (!text)
                return buf->error = -ENOMEM;
        buf->text = text;
        buf->capacity = capacity;
        return 0;
}

int strbuf_append_n(struct strbuf *buf, const char *data, size_t size) {
        int r = strbuf_grow(buf, size);

        if (r < 0)
                return r;
        memcpy(buf->text + buf->size, data, size);
        buf->size += size;
        buf->text[buf->size] = '\0';
        return 0;
}

int strbuf_append(struct strbuf *buf, const char *text) {
        return strbuf_append_n(buf, text, strlen(text));
}

int strbuf_append_char(struct strbuf *buf, char c) {
        return strbuf_append_n(buf, &c, 1);
}

int strbuf_vappendf(struct strbuf *buf, const char *format, va_list args) {
        va_list again;
        int length, r;

        if (buf->error < 0)
                return buf->error;
        va_copy(again, args);
        length = vsnprintf(NULL, 0, format, again);
        va_end(again);
        if (length < 0)
                return buf->error = -EINVAL;
        r = strbuf_grow(buf, (size_t) length);
        if (r < 0)
                return r;
        vsnprintf(buf->text + buf->size, (size_t) length + 1, format, args);
        buf->size += (size_t) length;
        return 0;
}

int strbuf_appendf(struct strbuf *buf, const char *format, ...) {
        va_list args;
        int r;

        va_start(args, format);
        r = strbuf_vappendf(buf, format, args);
        va_end(args);
        return r;
}

const char *strbuf_text(const struct strbuf *buf) {
        return buf->text ? buf->text : "";
}

int strbuf_take(struct strbuf *buf, char **ret_text, size_t *ret_size) {
        int r = strbuf_append_n(buf, "", 0);

        if (r < 0)
                return r;
        *ret_text = TAKE_PTR(buf->text);
        if (ret_size)
                *ret_size = buf->size;
        *buf = STRBUF_INIT(buf->limit);
        return 0;
}
