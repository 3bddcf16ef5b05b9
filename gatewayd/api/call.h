/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Inside of api/: callers and their calls. A door embeds a struct caller for everybody who speaks to it and hands lines to
 * call_line(). Each line becomes a struct call, which a method carries out and ends exactly once, now or later, with one of the
 * call_answer...() and call_fail...() functions; they send the reply and free the call.
 *
 * A caller may go away while its calls run: they end without being heard. api_free() drops every call that is left; nothing below
 * calls back then (a scan excepted, which looks after itself).
 */

#include <sys/types.h>

#include "api/api.h"
#include "base/list.h"
#include "base/log.h"
#include "document/command.h"

#define CALLER_CALLS_MAX 64 /* requests of one caller that run at once */
#define CALLER_PRINCIPAL_SIZE 72 /* a uid, or the id of a key */
#define REPLY_LIST_BYTES_MAX (1024u * 1024u)    /* JSON of the list in one reply; the page ends before it */
#define SUBSCRIPTION_SLICE 128                  /* events read and sent in one turn */
#define SUBSCRIPTION_QUEUE_BYTES (512u * 1024u) /* unsent, above it the backlog waits */
#define PROGRESS_QUEUE_BYTES (64u * 1024u)      /* unsent, above it progress is dropped */

struct call_failure;
struct caller;
struct signed_command;
struct subscription;
struct door_mqtt;
struct door_socket;

struct api {
        struct api_options options;
        struct door_socket *socket;
        struct door_mqtt *mqtt; /* NULL: not configured */
        struct door_https *https; /* NULL: not configured, as is notify */
        struct notify *notify;
        int64_t certificates_warn_ms; /* not before this */
        struct list calls;
        struct list subscriptions;
        struct list scans;        /* device.scan */
        struct log_limit garbage; /* lines that are no request */
        int64_t started_ms;
        int64_t durable_seq; /* the newest event that may be told */
        bool listening;
        bool stopping;
};

struct caller_ops {
        /* One line without '\n'; copies. A failure means that `caller` is about to end. */
        int (*send)(struct caller *caller, const char *line, size_t size);
        size_t (*queued_bytes)(const struct caller *caller);
        /* Ends the connection; caller_gone() follows from inside. */
        void (*cut)(struct caller *caller);
};

/* On whose word a caller's requests are carried out; document/command.h says what each method asks for. */
enum caller_authority {
        CALLER_READS,    /* control socket: anybody on this machine */
        CALLER_COMMANDS, /* control socket: root, the daemon's own user, members of control_group */
        CALLER_REMOTE,   /* from far, through something that is not trusted: a signature is the authority */
};

struct caller {
        struct api *api;
        const struct caller_ops *ops;
        const char *door;
        char principal[CALLER_PRINCIPAL_SIZE];
        enum caller_authority authority;
        size_t n_calls;
        struct subscription *subscription;
};

/* The door filled ops, door, principal and authority. */
void caller_init(struct caller *caller, struct api *api);
/* Everything that was queued has left. */
void caller_drained(struct caller *caller);
/* It hears nothing any more; the door may free it afterwards. */
void caller_gone(struct caller *caller);

struct call {
        struct list link; /* api.calls */
        struct api *api;
        struct caller *caller; /* NULL: it went away */
        struct command command;
        const struct json *params; /* of command; NULL where there are none */
        int fd;                    /* that came with the line; -1 */
        char principal[CALLER_PRINCIPAL_SIZE];
        struct update_actor actor;

        struct signed_command *signed_command; /* whose params count; NULL: those of the request */

        struct store_wait *wait;
        struct json *result;          /* waits for the disk */
        struct call_failure *failure; /* likewise */
        /* What a method keeps; `drop` frees it when the call ends in whatever way. */
        void *work;
        void (*drop)(struct call *call);
};

/* One line of a caller; may be changed. *fd is taken where the method wants a file. */
void call_line(struct caller *caller, const char *line, size_t size, int *fd);

/* The ends. result is taken over; NULL: {}. */
void call_answer(struct call *call, struct json *result);
/* The same when everything written so far is on the disk. */
void call_answer_durable(struct call *call, struct json *result);
/* mistakes: NULL or those that belong to err. */
void call_fail(struct call *call, const struct gw_error *err, const struct json_errors *mistakes);
/* The same when everything written so far is on the disk. */
void call_fail_durable(struct call *call, const struct gw_error *err, const struct json_errors *mistakes);
/* r negative; err counts where it is set. */
void call_fail_errno(struct call *call, int r, const struct gw_error *err);
/* The method's own params are wrong in a way that only it can see. path: "params.after". */
void call_fail_param(struct call *call, const char *path, const char *text);
/* An update_reply whose ctx is the call. */
void call_reply(void *ctx, struct json *result, const struct gw_error *err, const struct json_errors *mistakes);
/* After update_...(..., call_reply, call): a negative result ends the call. */
void call_started(struct call *call, int r);
void call_free(struct call *call);

/* Notes an act of a person into the audit chain. */
void call_audit(struct call *call, const char *device, const char *result);

/* --- what several methods need --- */

const char *call_text(const struct call *call, const char *member); /* NULL */
void set_time(struct json *json, const char *member, int64_t wall_ms);
void set_hex(struct json *json, const char *member, const uint8_t *data, size_t size);
/* {campaign, job} of the device's running or newest job, where it has one. */
int set_job(const struct api *api, const char *device, struct json *json);
/* Of the catalogue, or of a plugin where there is a registry; NULL. */
const char *error_advice(const struct driver_registry *registry, const char *name);
/* {name, text, advice?} */
void set_error(const struct api_options *options, struct json *json, const char *name, const char *text);
int64_t api_wall_ms(const struct api *api);
/* The item's text, or NULL; for lists of texts. */
bool texts_contain(const struct json *texts, const char *text);

/*
 * A list in a reply that ends at `limit` entries or at REPLY_LIST_BYTES_MAX, whichever comes first.
 *     if (page_wants(&page)) page_add(&page, item, id);  ...  page_finish(&page, result)
 */
struct page {
        struct json *items; /* lent by the result */
        size_t limit, size_bytes;
        char last[160]; /* token of the last entry */
        bool more;
};

/* Makes the empty list `member` in result. limit: as the params say. -ENOMEM. */
int page_begin(struct page *page, const struct json *params, struct json *result, const char *member);
/* Is there room? Asked for every entry; when not, the page remembers that there is more. */
bool page_wants(struct page *page);
/* Takes item over. What no longer fits is dropped and counts as more. */
int page_add(struct page *page, struct json *item, const char *token);
/* Sets `next` where there is more. */
int page_finish(const struct page *page, struct json *result);
