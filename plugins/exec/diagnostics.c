/* SPDX-License-Identifier: Apache-2.0 */
#include "diagnostics.h"

#include <string.h>

#include "common/json_line/json_line.h"

void diagnostics_init(struct diagnostics *diagnostics) {
        *diagnostics = (struct diagnostics){ 0 };
}

void diagnostics_flush(struct diagnostics *diagnostics, void (*shown)(void *ctx, const char *line), void *ctx) {
        size_t size = diagnostics->size;

        diagnostics->size = 0;
        while (size > 0 && strchr(" \t\r", diagnostics->line[size - 1]))
                size--;
        if (size == 0)
                return;
        (void) str_escape(diagnostics->last, sizeof diagnostics->last, diagnostics->line, size);
        shown(ctx, diagnostics->last);
}

void diagnostics_feed(struct diagnostics *diagnostics, const uint8_t *data, size_t size, void (*shown)(void *ctx, const char *line),
                      void *ctx) {
        for (size_t i = 0; i < size; i++) {
                if (data[i] == '\n')
                        diagnostics_flush(diagnostics, shown, ctx);
                else if (diagnostics->size < sizeof diagnostics->line)
                        diagnostics->line[diagnostics->size++] = (char) data[i];
        }
}

const char *diagnostics_join(const struct diagnostics *diagnostics) {
        return diagnostics->last[0] ? ": " : "";
}
