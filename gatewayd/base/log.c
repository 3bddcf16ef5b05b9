/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/str.h"

static void log_to_stderr(enum log_level level, const struct log_fields *fields, const char *text, void *context);

/* Set at start, before any thread; a worker only reads. */
static struct {
        log_sink_fn sink;
        void *context;
        enum log_level level;
} output = {.sink = log_to_stderr, .level = LOG_LEVEL_INFO};

static const char *const level_names[] = {
        [LOG_LEVEL_ERROR] = "error", [LOG_LEVEL_WARNING] = "warning", [LOG_LEVEL_NOTICE] = "notice",
        [LOG_LEVEL_INFO] = "info",   [LOG_LEVEL_DEBUG] = "debug",
};

void log_set_sink(log_sink_fn sink, void *context) {
        output.sink = sink ? sink : log_to_stderr;
        output.context = context;
}

void log_set_level(enum log_level level) {
        output.level = level;
}

enum log_level log_get_level(void) {
        return output.level;
}

int log_level_parse(const char *text, enum log_level *ret_level) {
        for (size_t i = 0; i < ARRAY_SIZE(level_names); i++) {
                if (strcmp(level_names[i], text) == 0) {
                        *ret_level = (enum log_level) i;
                        return 0;
                }
        }
        return -EINVAL;
}

const char *log_level_name(enum log_level level) {
        return level_names[level];
}

static void append_field(struct strbuf *line, const char *name, const char *value, const char **separator) {
        if (!value || !*value)
                return;
        strbuf_appendf(line, "%s%s=%s", *separator, name, value);
        *separator = " ";
}

void log_format(char *dst, size_t size, enum log_level level, const struct log_fields *fields, const char *text) {
        _cleanup_strbuf_ struct strbuf line = STRBUF_INIT(4 * LOG_TEXT_MAX);
        const char *separator = " [";

        strbuf_appendf(&line, "%s: %s", log_level_name(level), text);
        append_field(&line, "campaign", fields->campaign, &separator);
        append_field(&line, "device", fields->device, &separator);
        append_field(&line, "step", fields->step, &separator);
        append_field(&line, "error", fields->error, &separator);
        if (separator[1] == '\0')
                strbuf_append_char(&line, ']');
        str_copy(dst, size, strbuf_text(&line));
}

/* One write(2) a line, so that lines of several threads or processes do not mix. */
static void log_to_stderr(enum log_level level, const struct log_fields *fields, const char *text, void *context) {
        char line[2 * LOG_TEXT_MAX];
        size_t length;
        ssize_t written;

        (void) context;
        log_format(line, sizeof(line) - 1, level, fields, text);
        length = strlen(line);
        line[length++] = '\n';
        do
                written = write(STDERR_FILENO, line, length);
        while (written < 0 && errno == EINTR);
}

void log_vwrite(enum log_level level, const struct log_fields *fields, const char *format, va_list args) {
        static const struct log_fields no_fields;
        char raw[LOG_TEXT_MAX], text[LOG_TEXT_MAX];
        int saved = errno;

        if (level > output.level)
                return;
        if (vsnprintf(raw, sizeof(raw), format, args) < 0)
                return;
        /* Cut if it does not fit: what was logged is never a reason to fail. */
        str_escape(text, sizeof(text), raw, strlen(raw));
        output.sink(level, fields ? fields : &no_fields, text, output.context);
        errno = saved;
}

void log_write(enum log_level level, const struct log_fields *fields, const char *format, ...) {
        va_list args;

        va_start(args, format);
        log_vwrite(level, fields, format, args);
        va_end(args);
}

bool log_limit_pass(struct log_limit *limit, int64_t now_monotonic_ms, uint64_t *ret_n_silent) {
        limit->n_total++;
        if (limit->n_total > 1 && now_monotonic_ms < limit->next_ms) {
                limit->n_silent++;
                return false;
        }
        if (ret_n_silent)
                *ret_n_silent = limit->n_silent;
        limit->n_silent = 0;
        limit->next_ms = now_monotonic_ms + LOG_LIMIT_INTERVAL_MS;
        return true;
}

void log_redact_url(char *dst, size_t size, const char *url) {
        const char *authority = strstr(url, "://"), *host, *end;
        char plain[LOG_TEXT_MAX];
        size_t authority_length;

        authority = authority ? authority + 3 : url;
        authority_length = strcspn(authority, "/?#");
        host = memrchr(authority, '@', authority_length);
        host = host ? host + 1 : authority;
        end = url + strcspn(url, "?#");
        str_format(plain, sizeof(plain), "%.*s%.*s", (int) (authority - url), url, end > host ? (int) (end - host) : 0, host);
        str_escape(dst, size, plain, strlen(plain));
}
