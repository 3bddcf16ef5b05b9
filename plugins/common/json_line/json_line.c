/* SPDX-License-Identifier: Apache-2.0 */
#include "common/json_line/json_line.h"

#include <errno.h>
#include <string.h>

void json_line_init(struct json_line *lines, size_t line_max) {
        buffer_init(&lines->buffer, line_max);
}

void json_line_deinit(struct json_line *lines) {
        buffer_deinit(&lines->buffer);
}

static bool is_blank(const char *text, size_t size) {
        for (size_t i = 0; i < size; i++)
                if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r')
                        return false;
        return true;
}

static int hand_out(struct json_line *lines, int (*line)(void *ctx, const char *text, size_t size), void *ctx) {
        const char *text = (const char *) buffer_data(&lines->buffer);
        size_t size = buffer_size(&lines->buffer);
        int r = is_blank(text, size) ? 0 : line(ctx, text, size);

        buffer_clear(&lines->buffer);
        return r;
}

int json_line_feed(struct json_line *lines, const void *data, size_t size, int (*line)(void *ctx, const char *text, size_t size),
                   void *ctx) {
        const char *bytes = data;

        while (size > 0) {
                const char *end = memchr(bytes, '\n', size);
                size_t piece = end ? (size_t) (end - bytes) : size;
                int r = buffer_append(&lines->buffer, bytes, piece);

                if (r == 0 && end)
                        r = hand_out(lines, line, ctx);
                if (r < 0)
                        return r;
                bytes += piece + (end != NULL);
                size -= piece + (end != NULL);
        }
        return 0;
}

int json_line_flush(struct json_line *lines, int (*line)(void *ctx, const char *text, size_t size), void *ctx) {
        return hand_out(lines, line, ctx);
}
