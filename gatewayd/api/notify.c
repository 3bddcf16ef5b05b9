/* SPDX-License-Identifier: Apache-2.0 */
#include "api/notify.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "api/outbox.h"
#include "base/backoff.h"
#include "base/str.h"
#include "loop/http.h"
#include "loop/process.h"
#include "loop/timer.h"
#include "trust/secrets.h"

#define TAKEN_MAX 64 /* events looked at in one go */
#define DIAGNOSTICS_MAX 256 /* of what the program says on standard error */

/*
 *     taking: the next event that is a notice --> command --> webhook --> taking
 *                                                 \-(failed)-> waiting, again; or left
 */
enum target { TARGET_COMMAND, TARGET_WEBHOOK, TARGET_COUNT_ };

static const char *const target_names[TARGET_COUNT_] = { [TARGET_COMMAND] = "command", [TARGET_WEBHOOK] = "webhook" };

struct notify {
        struct api *api;
        const struct settings *settings; /* those of the start */
        struct outbox *outbox;
        bool stopping;
        unsigned n_left[TARGET_COUNT_]; /* notices in a row that were given up */

        /* the notice in hand */
        char *text; /* NULL = none */
        size_t size;
        int64_t seq;
        char name[16];
        enum target target;
        unsigned attempt;
        struct loop_deferral *deferral; /* to the next notice */
        struct timer *timer; /* to the next attempt, or of the program */
        struct process *process;
        bool is_late; /* the program was told to end */
        char diagnostics[DIAGNOSTICS_MAX];
        struct http_transfer *transfer;
        int status;
};

static void begin_attempt(void *ctx);
static void take(void *ctx);

bool notify_is_configured(const struct settings *settings) {
        return settings->notify.command[0] || settings->notify.webhook[0];
}

static bool has_target(const struct notify *notify, enum target target) {
        return (target == TARGET_COMMAND ? notify->settings->notify.command : notify->settings->notify.webhook)[0];
}

/* --- how an attempt ends --- */

static void next_target(struct notify *notify) {
        notify->attempt = 0;
        do
                notify->target++;
        while (notify->target < TARGET_COUNT_ && !has_target(notify, notify->target));
        if (notify->target < TARGET_COUNT_) {
                begin_attempt(notify);
                return;
        }
        outbox_delivered(notify->outbox, notify->seq);
        free(TAKE_PTR(notify->text));
        (void) loop_defer(notify->api->options.loop, take, notify, &notify->deferral);
}

static void worked(struct notify *notify) {
        if (notify->n_left[notify->target] > 0)
                log_notice(NULL, "notify: %s works again", target_names[notify->target]);
        notify->n_left[notify->target] = 0;
        log_debug(NULL, "notify: %s was told that event %lld is %s", target_names[notify->target], (long long) notify->seq, notify->name);
        next_target(notify);
}

static void failed(struct notify *notify, const struct gw_error *err) {
        unsigned attempts = notify->n_left[notify->target] > 0 ? 1 : NOTIFY_ATTEMPTS;
        int64_t delay_ms = backoff_ms(notify->attempt, NOTIFY_RETRY_FIRST_MS, NOTIFY_RETRY_MAX_MS, backoff_random()) + 1;
        if (notify->attempt < attempts && timer_start(notify->api->options.loop, delay_ms, begin_attempt, notify, &notify->timer) >= 0) {
                log_info(&(struct log_fields){ .error = err->name }, "notify: %s, attempt %u: %s", target_names[notify->target], notify->attempt,
                         err->text);
                return;
        }
        notify->n_left[notify->target]++;
        log_warning(&(struct log_fields){ .error = err->name }, "notify: nobody was told by %s that event %lld is %s: %s",
                    target_names[notify->target], (long long) notify->seq, notify->name, err->text);
        next_target(notify);
}

/* --- the program --- */

static void on_diagnostics(void *ctx, const uint8_t *data, size_t size) {
        struct notify *notify = ctx;
        const uint8_t *end = memchr(data, '\n', size);
        if (!notify->diagnostics[0])
                (void) str_escape(notify->diagnostics, sizeof notify->diagnostics, (const char *) data, end ? (size_t) (end - data) : size);
}

static void on_exited(void *ctx, int status, int term_signal, bool overflow) {
        struct notify *notify = ctx;
        const char *command = notify->settings->notify.command;
        struct gw_error err = { 0 };
        notify->process = NULL;
        timer_cancel(TAKE_PTR(notify->timer));
        if (notify->stopping)
                return;
        if (notify->is_late)
                gw_error_set(&err, "notify-timeout", "%s did not end within %lld s", command, (long long) notify->settings->notify.timeout_ms / 1000);
        else if (overflow)
                gw_error_set(&err, "notify-command-failed", "%s says too much", command);
        else if (term_signal != 0)
                gw_error_set(&err, "notify-command-failed", "%s was ended by signal %d", command, term_signal);
        else if (status != 0)
                gw_error_set(&err, "notify-command-failed", "%s ended with %d%s%s", command, status, notify->diagnostics[0] ? ": " : "",
                             notify->diagnostics);
        if (gw_error_is_set(&err))
                failed(notify, &err);
        else
                worked(notify);
}

static const struct gw_process_handler process_handler = { .diagnostics = on_diagnostics, .exited = on_exited };

static void on_late(void *ctx) {
        struct notify *notify = ctx;
        notify->timer = NULL;
        notify->is_late = true;
        process_terminate(notify->process, NOTIFY_GRACE_MS);
}

/* What others can change would be run with the daemon's rights. */
static int check_command(const char *path, struct gw_error *err) {
        struct stat status;
        if (stat(path, &status) < 0) {
                gw_error_set(err, "exec-not-found", "%s: %s", path, strerror(errno));
                return -ENOENT;
        }
        if ((status.st_uid != 0 && status.st_uid != geteuid()) || (status.st_mode & (S_IWGRP | S_IWOTH))) {
                gw_error_set(err, "exec-not-safe", "%s belongs to uid %u, mode %04o", path, status.st_uid, status.st_mode & 07777);
                return -EPERM;
        }
        return 0;
}

static int start_command(struct notify *notify, struct gw_error *err) {
        static const char *const environment[] = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", NULL };
        const char *argv[] = { notify->settings->notify.command, NULL };
        const struct gw_process_options options = { .size = sizeof options,
                                                    .argv = argv,
                                                    .environment = environment,
                                                    .directory = "/",
                                                    .input = notify->text,
                                                    .input_size = notify->size,
                                                    .keep_fd = -1 };
        struct loop *loop = notify->api->options.loop;
        int r = check_command(argv[0], err);
        notify->is_late = false;
        notify->diagnostics[0] = '\0';
        if (r >= 0)
                r = timer_start(loop, notify->settings->notify.timeout_ms, on_late, notify, &notify->timer);
        if (r >= 0)
                r = process_start(loop, &options, &process_handler, notify, &notify->process, err);
        if (r < 0)
                timer_cancel(TAKE_PTR(notify->timer));
        return r;
}

/* --- the webhook --- */

static int on_response(void *ctx, const struct http_response *response) {
        struct notify *notify = ctx;
        notify->status = response->status;
        return 0;
}

static void on_done(void *ctx, int result, const struct gw_error *err) {
        struct notify *notify = ctx;
        struct gw_error refusal = { 0 };
        notify->transfer = NULL;
        if (notify->stopping)
                return;
        if (result < 0) {
                failed(notify, err);
        } else if (notify->status >= 200 && notify->status < 300) {
                worked(notify);
        } else {
                gw_error_set(&refusal, "notify-webhook-refused", "the webhook answers with status %d", notify->status);
                failed(notify, &refusal);
        }
}

static const struct http_handler http_handler = { .response = on_response, .done = on_done };

static int start_webhook(struct notify *notify, struct gw_error *err) {
        static const char *const headers[] = { "Content-Type: application/json", "Accept: */*" };
        const struct settings *settings = notify->settings;
        _cleanup_secrets_ struct secrets secrets;
        struct http_request request = { .url = settings->notify.webhook,
                                        .use = "notify",
                                        .method = "POST",
                                        .headers = headers,
                                        .n_headers = ARRAY_SIZE(headers),
                                        .body = notify->text,
                                        .body_size = notify->size,
                                        .total_timeout_ms = settings->notify.timeout_ms,
                                        .allow_private = true,
                                        .ca_file = settings->trust.ca_file[0] ? settings->trust.ca_file : NULL };
        int r = secrets_read(&settings->notify.credentials, &secrets, err);
        if (r < 0)
                return r;
        secrets_apply(&settings->notify.credentials, &secrets, &request);
        return http_start(notify->api->options.http, &request, &http_handler, notify, &notify->transfer);
}

/* --- one notice after the other --- */

static void begin_attempt(void *ctx) {
        struct notify *notify = ctx;
        struct gw_error err = { 0 };
        int r;
        notify->timer = NULL;
        notify->attempt++;
        r = notify->target == TARGET_COMMAND ? start_command(notify, &err) : start_webhook(notify, &err);
        if (r >= 0)
                return;
        if (!gw_error_is_set(&err))
                gw_error_set(&err, "out-of-memory", "it could not be started: %s", strerror(-r));
        failed(notify, &err);
}

static int take_row(void *ctx, struct event_row *row) {
        struct notify *notify = ctx;
        const char *notice;
        int r;
        if (notify->text)
                return 1;
        notify->seq = row->seq;
        notice = notice_of(row);
        if (!notice || !str_list_contains(&notify->settings->notify.on, notice))
                return 0;
        (void) str_copy(notify->name, sizeof notify->name, notice);
        r = notice_write(notify->api, row, notice, &notify->text, &notify->size);
        if (r < 0)
                log_warning(NULL, "notify: event %lld, %s, could not be written: %s", (long long) row->seq, notice, strerror(-r));
        return 0;
}

static void take(void *ctx) {
        struct notify *notify = ctx;
        notify->deferral = NULL;
        while (!notify->text && !notify->stopping && outbox_has_more(notify->outbox)) {
                if (outbox_next(notify->outbox, TAKEN_MAX, take_row, notify) <= 0)
                        return;
                if (!notify->text)
                        outbox_delivered(notify->outbox, notify->seq);
        }
        if (!notify->text || notify->stopping)
                return;
        notify->target = TARGET_COMMAND;
        notify->attempt = 0;
        if (has_target(notify, TARGET_COMMAND))
                begin_attempt(notify);
        else
                next_target(notify);
}

static void more(void *ctx) {
        struct notify *notify = ctx;
        if (!notify->text && !notify->deferral)
                take(notify);
}

static const struct outbox_handler outbox_handler = { .more = more };

/* --- life --- */

int notify_new(struct api *api, struct notify **ret_notify) {
        const struct settings *settings = api->options.settings;
        struct notify *notify;
        int r;
        *ret_notify = NULL;
        if (!notify_is_configured(settings))
                return 0;
        notify = calloc(1, sizeof *notify);
        if (!notify)
                return -ENOMEM;
        notify->api = api;
        notify->settings = settings;
        r = outbox_new(api, OUTBOX_DOOR_NOTIFY, &outbox_handler, notify, &notify->outbox);
        if (r < 0) {
                notify_free(notify);
                return r;
        }
        *ret_notify = notify;
        return 0;
}

void notify_stop(struct notify *notify) {
        if (!notify)
                return;
        notify->stopping = true;
        timer_cancel(TAKE_PTR(notify->timer));
        loop_defer_cancel(TAKE_PTR(notify->deferral));
        process_drop(TAKE_PTR(notify->process));
        http_cancel(notify->transfer);
}

void notify_free(struct notify *notify) {
        if (!notify)
                return;
        timer_cancel(notify->timer);
        process_drop(notify->process);
        outbox_free(notify->outbox);
        free(notify->text);
        free(notify);
}
