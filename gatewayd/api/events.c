/* SPDX-License-Identifier: Apache-2.0 */
#include "api/events.h"

#include <stdlib.h>

#include "api/methods.h"
#include "base/str.h"

/*
 *     lagging --(the last durable event was sent)--> live --(an event comes: sent at once)--> live
 *        ^ reads a slice of the table, waits for `drained` where much is unsent
 *
 * A live peer that does not read is cut by the connection's own limit; a lagging one when rows it has not got yet were pruned.
 */
struct subscription {
        struct list link; /* api.subscriptions */
        struct caller *caller;
        int64_t next_seq; /* the first one it has not got */
        bool progress;
        bool waiting; /* for drained */
        bool begun;   /* has got one, so a missing row is a gap */
        bool broken;
        char campaign[STR_ID_MAX + 1];   /* "": all */
        char device[STR_DEVICE_ID_SIZE]; /* "": all */
        struct loop_deferral *deferral;
};

static void pump(void *ctx);

static void go_on(struct subscription *subscription) {
        struct api *api = subscription->caller->api;
        if (!subscription->deferral && !subscription->waiting)
                (void) loop_defer(api->options.loop, pump, subscription, &subscription->deferral);
}

/* --- one event --- */

static bool wants(const struct subscription *subscription, const char *campaign, const char *device) {
        if (subscription->campaign[0] && !str_equal(subscription->campaign, campaign))
                return false;
        return !subscription->device[0] || str_equal(subscription->device, device);
}

int event_describe(const struct api *api, const struct event_row *row, struct json **ret_json) {
        _cleanup_json_ struct json *json = json_new_object();
        struct json *data = NULL;
        if (!json)
                return -ENOMEM;
        json_set_string(json, "gateway", api->options.gateway_id);
        json_set_string(json, "epoch", store_epoch(api->options.store));
        json_set_int(json, "seq", row->seq);
        set_time(json, "time", row->time_ms);
        json_set_bool(json, "time_credible", row->credible);
        json_set_string(json, "type", row->type);
        json_set_string(json, "campaign", row->campaign);
        if (row->campaign)
                json_set_int(json, "revision", row->revision);
        json_set_string(json, "device", row->device);
        if (row->body && json_parse(row->body, strlen(row->body), 0, &data, NULL) < 0)
                data = NULL;
        if (json_kind(data) != JSON_KIND_OBJECT) {
                json_free(data);
                data = json_new_object();
        }
        if (!data || json_set(json, "data", data) < 0)
                return -ENOMEM;
        *ret_json = TAKE_PTR(json);
        return 0;
}

/* params is taken over. */
static int write_notification(const char *method, struct json *params, char **ret_text, size_t *ret_size) {
        _cleanup_json_ struct json *message = NULL;
        int r = command_notification(method, params, &message);
        return r < 0 ? r : json_write(message, ret_text, ret_size);
}

static int write_event(const struct api *api, const struct event_row *row, char **ret_text, size_t *ret_size) {
        struct json *json = NULL;
        int r = event_describe(api, row, &json);
        return r < 0 ? r : write_notification("event", json, ret_text, ret_size);
}

int event_write(const struct api *api, const struct event_row *row, char **ret_text, size_t *ret_size) {
        _cleanup_json_ struct json *json = NULL;
        int r = event_describe(api, row, &json);
        return r < 0 ? r : json_write(json, ret_text, ret_size);
}

/* --- the backlog --- */

static int send_row(void *ctx, struct event_row *row) {
        struct subscription *subscription = ctx;
        struct caller *caller = subscription->caller;
        _cleanup_free_ char *text = NULL;
        size_t size = 0;
        int r;
        if (subscription->begun && row->seq != subscription->next_seq)
                return -ESTALE;
        if (row->seq > caller->api->durable_seq)
                return -ECANCELED;
        subscription->begun = true;
        subscription->next_seq = row->seq + 1;
        if (!wants(subscription, row->campaign, row->device))
                return 0;
        r = write_event(caller->api, row, &text, &size);
        return r < 0 ? r : caller->ops->send(caller, text, size);
}

static void pump(void *ctx) {
        struct subscription *subscription = ctx;
        struct caller *caller = subscription->caller;
        struct api *api = caller->api;
        int r = 0;
        subscription->deferral = NULL;
        if (subscription->next_seq <= api->durable_seq)
                r = event_table_each(api->options.store, subscription->next_seq, SUBSCRIPTION_SLICE, send_row, subscription);
        if (r == -ESTALE) {
                log_notice(NULL, "%s %s reads events too slowly: the next ones are gone; closed", caller->door, caller->principal);
                caller->ops->cut(caller);
                return;
        }
        if (r < 0 || subscription->next_seq > api->durable_seq)
                return;
        if (caller->ops->queued_bytes(caller) > SUBSCRIPTION_QUEUE_BYTES)
                subscription->waiting = true;
        go_on(subscription);
}

void subscription_drained(struct subscription *subscription) {
        if (!subscription->waiting)
                return;
        subscription->waiting = false;
        go_on(subscription);
}

/* --- as it happens --- */

static void event_came(void *ctx, const struct event_row *event) {
        struct api *api = ctx;
        struct subscription *subscription;
        _cleanup_free_ char *text = NULL;
        size_t size = 0;
        api->durable_seq = MAX(api->durable_seq, event->seq);
        LIST_FOREACH(subscription, &api->subscriptions, link) {
                struct caller *caller = subscription->caller;
                if (subscription->next_seq < event->seq)
                        go_on(subscription);
                if (subscription->next_seq != event->seq || subscription->deferral || subscription->waiting)
                        continue;
                subscription->begun = true;
                subscription->next_seq = event->seq + 1;
                if (!wants(subscription, event->campaign, event->device))
                        continue;
                if (!text && write_event(api, event, &text, &size) < 0)
                        continue;
                (void) caller->ops->send(caller, text, size);
        }
}

static int write_progress(const struct api *api, const struct json *progress, char **ret_text, size_t *ret_size) {
        struct json *params = json_new_object();
        if (!params)
                return -ENOMEM;
        json_set_string(params, "gateway", api->options.gateway_id);
        JSON_FOREACH_MEMBER(member, progress)
        (void) json_set(params, member.key, json_ref(member.value));
        return write_notification("progress", params, ret_text, ret_size);
}

static void progress_came(void *ctx, const struct json *progress) {
        struct api *api = ctx;
        struct subscription *subscription;
        _cleanup_free_ char *text = NULL;
        size_t size = 0;
        LIST_FOREACH(subscription, &api->subscriptions, link) {
                struct caller *caller = subscription->caller;
                if (!subscription->progress ||
                    !wants(subscription, json_member_text(progress, "campaign"), json_member_text(progress, "device")))
                        continue;
                if (caller->ops->queued_bytes(caller) > PROGRESS_QUEUE_BYTES)
                        continue;
                if (!text && write_progress(api, progress, &text, &size) < 0)
                        return;
                (void) caller->ops->send(caller, text, size);
        }
}

static const struct update_listener listener = { .event = event_came, .progress = progress_came };

int events_start(struct api *api) {
        int r = update_listen(api->options.update, &listener, api);
        api->listening = r >= 0;
        return r;
}

void events_stop(struct api *api) {
        if (api->listening)
                update_unlisten(api->options.update, &listener, api);
        api->listening = false;
}

/* --- the method --- */

void subscription_free(struct subscription *subscription) {
        if (!subscription)
                return;
        loop_defer_cancel(subscription->deferral);
        list_remove(&subscription->link);
        free(subscription);
}

/* Where the subscriber begins. */
static int64_t first_seq(const struct call *call, int64_t newest) {
        struct store *store = call->api->options.store;
        const char *epoch = call_text(call, "epoch");
        int64_t oldest = MAX(event_table_oldest(store), 1), from = newest + 1;
        if (epoch && strcmp(epoch, store_epoch(store)) != 0)
                return oldest;
        (void) json_member_int(call->params, "from", 1, INT64_MAX, &from);
        return MAX(from, oldest);
}

static struct subscription *subscription_new(struct call *call, int64_t next_seq) {
        struct subscription *subscription = calloc(1, sizeof *subscription);
        const char *campaign = call_text(call, "campaign"), *device = call_text(call, "device");
        if (!subscription)
                return NULL;
        subscription->caller = call->caller;
        subscription->next_seq = next_seq;
        (void) json_member_bool(call->params, "progress", &subscription->progress);
        (void) str_copy(subscription->campaign, sizeof subscription->campaign, campaign ? campaign : "");
        (void) str_copy(subscription->device, sizeof subscription->device, device ? device : "");
        list_append(&call->api->subscriptions, &subscription->link);
        return subscription;
}

struct beginning {
        int64_t newest, from;
};

static void drop_beginning(struct call *call) {
        free(call->work);
}

static int describe_beginning(const struct call *call, const struct beginning *beginning, struct json **ret_json) {
        struct store *store = call->api->options.store;
        struct json *result = json_new_object();
        if (!result)
                return -ENOMEM;
        json_set_string(result, "epoch", store_epoch(store));
        json_set_int(result, "oldest", event_table_oldest(store));
        json_set_int(result, "newest", beginning->newest);
        json_set_int(result, "from", beginning->from);
        *ret_json = result;
        return 0;
}

/* What was the newest event when the call came is on the disk now. */
static void begin(void *ctx, int result) {
        struct call *call = ctx;
        struct api *api = call->api;
        struct caller *caller = call->caller;
        const struct beginning *beginning = call->work;
        struct subscription *subscription = NULL;
        struct json *json = NULL;
        int r = result;
        call->wait = NULL;
        if (r >= 0)
                r = describe_beginning(call, beginning, &json);
        if (r >= 0 && caller) {
                subscription = subscription_new(call, beginning->from);
                r = subscription ? 0 : -ENOMEM;
        }
        if (r < 0) {
                json_free(json);
                call_fail_errno(call, r, NULL);
                return;
        }
        api->durable_seq = MAX(api->durable_seq, beginning->newest);
        if (subscription) {
                subscription_free(caller->subscription);
                caller->subscription = subscription;
                go_on(subscription); /* later: the answer comes first */
        }
        call_answer(call, json);
}

void method_events_subscribe(struct call *call) {
        struct beginning *beginning = calloc(1, sizeof *beginning);
        int r = beginning ? 0 : -ENOMEM;
        if (beginning) {
                beginning->newest = event_table_newest(call->api->options.store);
                beginning->from = first_seq(call, beginning->newest);
                call->work = beginning;
                call->drop = drop_beginning;
                r = store_sync(call->api->options.store, begin, call, &call->wait);
        }
        call_started(call, r);
}
