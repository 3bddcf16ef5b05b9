/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Logging: level, text, and the four fields by which a journal is searched. One sink for the process: stderr by default,
 * the journal when base/log_journal.h attached it, a test's own function. Control characters and broken UTF-8 are escaped
 * here, so a peer cannot forge lines. Secrets are never handed to this module; a URL goes through log_redact_url().
 * Single-threaded like the loop, but a call from a worker is safe.
 */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level {
        LOG_LEVEL_ERROR,
        LOG_LEVEL_WARNING,
        LOG_LEVEL_NOTICE,
        LOG_LEVEL_INFO,
        LOG_LEVEL_DEBUG,
};

/* Each may be NULL. error is a name of the catalogue. */
struct log_fields {
        const char *campaign; /* GATEWAYD_CAMPAIGN */
        const char *device;   /* GATEWAYD_DEVICE */
        const char *step;     /* GATEWAYD_STEP */
        const char *error;    /* GATEWAYD_ERROR */
};

/* text: one line, escaped, without newline. fields is never NULL here. */
typedef void (*log_sink_fn)(enum log_level level, const struct log_fields *fields, const char *text, void *context);

/* NULL: back to stderr. */
void log_set_sink(log_sink_fn sink, void *context);
/* Messages above this level are dropped before they are formatted. Default LOG_LEVEL_INFO. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

int log_level_parse(const char *text, enum log_level *ret_level); /* "error" ... "debug"; -EINVAL */
const char *log_level_name(enum log_level level);

/* fields may be NULL. errno is left alone. Cut at LOG_TEXT_MAX. */
void log_write(enum log_level level, const struct log_fields *fields, const char *format, ...) __attribute__((format(printf, 3, 4)));
void log_vwrite(enum log_level level, const struct log_fields *fields, const char *format, va_list args)
        __attribute__((format(printf, 3, 0)));

/* log_info(NULL, "started"); log_error(&(struct log_fields){ .device = id, .error = err->name }, "%s", err->text); */
#define log_error(fields, ...) log_write(LOG_LEVEL_ERROR, fields, __VA_ARGS__)
#define log_warning(fields, ...) log_write(LOG_LEVEL_WARNING, fields, __VA_ARGS__)
#define log_notice(fields, ...) log_write(LOG_LEVEL_NOTICE, fields, __VA_ARGS__)
#define log_info(fields, ...) log_write(LOG_LEVEL_INFO, fields, __VA_ARGS__)
#define log_debug(fields, ...) log_write(LOG_LEVEL_DEBUG, fields, __VA_ARGS__)

/* The readable form: "warning: text [device=.. step=.. error=..]". */
void log_format(char *dst, size_t size, enum log_level level, const struct log_fields *fields, const char *text);

/*
 * Log once and count: for garbage that may come a thousand times a second. Embedded beside what produces it, zeroed.
 *
 *     if (log_limit_pass(&port->garbage, now_ms, &n_before))
 *             log_warning(NULL, "%s: bytes that are no frame (%" PRIu64 " more since the last report)", port->path, n_before);
 */
struct log_limit {
        uint64_t n_total;  /* all, for metrics */
        uint64_t n_silent; /* since the last one that passed */
        int64_t next_ms;   /* not before this */
};

#define LOG_LIMIT_INTERVAL_MS (10 * 60 * 1000)

/* Counts; true when this one is to be logged (the first, then one each LOG_LIMIT_INTERVAL_MS). ret_n_silent may be NULL. */
bool log_limit_pass(struct log_limit *limit, int64_t now_monotonic_ms, uint64_t *ret_n_silent);

/* A URL without user information, query and fragment, escaped. */
void log_redact_url(char *dst, size_t size, const char *url);
