/* SPDX-License-Identifier: Apache-2.0 */
#include "api/door_mqtt_internal.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/str.h"

/*
 * One caller a request: the reply knows where it goes. A request is freed when the broker has its reply; one that gets none (a notification,
 * a gateway that is not addressed) when its call is over.
 */
struct request {
        struct caller caller;
        struct list link; /* door.requests.list */
        struct door_mqtt *door;
        char topic[MQTT_TOPIC_MAX + 1]; /* of the reply */
        uint8_t correlation[MQTT_CORRELATION_MAX];
        size_t correlation_size;
        bool has_correlation;
        bool is_shared;
        bool is_sent; /* the reply is in flight */
        char *reply;
        size_t reply_size;
};

static struct request *request_of(const struct caller *caller) {
        return container_of(caller, struct request, caller);
}

static void request_free(struct request *request) {
        caller_gone(&request->caller);
        request->door->requests.n_requests--;
        list_remove(&request->link);
        free(request->reply);
        free(request);
}

static bool is_over(const struct request *request) {
        return request->caller.n_calls == 0 && !request->reply;
}

/* --- as the calls see it --- */

/* Of what went to many, only those speak whom it is for. */
static bool is_for_others(const char *line, size_t size) {
        _cleanup_command_reply_ struct command_reply reply = { 0 };
        return command_reply_read(line, size, &reply, NULL) >= 0 && strcmp(reply.error.name, "not-for-this-gateway") == 0;
}

static int request_send(struct caller *caller, const char *line, size_t size) {
        struct request *request = request_of(caller);
        if (request->reply || (request->is_shared && is_for_others(line, size)))
                return 0;
        request->reply = malloc(size + 1);
        if (!request->reply)
                return -ENOMEM;
        memcpy(request->reply, line, size);
        request->reply_size = size;
        door_mqtt_pump(request->door);
        return 0;
}

static size_t request_queued_bytes(const struct caller *caller) {
        return request_of(caller)->reply_size;
}

/* There is no connection of its own to end; without a call it is over. */
static void request_cut(struct caller *caller) {
        (void) caller;
}

static const struct caller_ops request_ops = { .send = request_send, .queued_bytes = request_queued_bytes, .cut = request_cut };

/* --- replies --- */

static void collect(struct door_mqtt *door) {
        struct request *request, *spare;
        LIST_FOREACH_SAFE(request, spare, &door->requests.list, link)
        if (is_over(request))
                request_free(request);
}

static void delivered(void *ctx, int reason) {
        struct request *request = ctx;
        struct door_mqtt *door = request->door;
        struct gw_error err;
        uint64_t n_before = 0;
        request->is_sent = false;
        if (reason < 0)
                return; /* again after the next connect */
        if (reason >= MQTT_REASON_FAILURE && log_limit_pass(&door->requests.dropped, loop_now_ms(door->api->options.loop), &n_before)) {
                mqtt_reason_error(reason, "publish to", request->topic, &err);
                log_warning(&(struct log_fields){ .error = err.name }, "a reply was not delivered: %s (%" PRIu64 " more since the last report)", err.text,
                            n_before);
        }
        free(TAKE_PTR(request->reply));
        collect(door);
        door_mqtt_pump(door);
}

/* In place of one that the broker does not take. The id of the request is lost with it, the correlation data are not. */
static int replace_by_error(struct request *request) {
        struct gw_error err;
        struct command_failure failure = { .code = COMMAND_CODE_FAILED, .err = &err };
        const struct api_options *options = &request->door->api->options;
        _cleanup_json_ struct json *reply = NULL;
        _cleanup_command_reply_ struct command_reply old = { 0 };
        _cleanup_json_ struct json *id = NULL;
        char *text = NULL;
        size_t size = 0;
        int r;
        gw_error_set(&err, "reply-too-large", "the reply has %zu bytes, the broker takes fewer", request->reply_size);
        failure.advice = error_advice(options->registry, err.name);
        if (command_reply_read(request->reply, request->reply_size, &old, NULL) >= 0)
                id = json_ref(json_child(old.tree, "id"));
        r = command_reply_error(id, options->gateway_id, &failure, &reply);
        if (r >= 0)
                r = json_write(reply, &text, &size);
        if (r < 0)
                return r;
        free(request->reply);
        request->reply = text;
        request->reply_size = size;
        return 0;
}

static int publish_reply(struct request *request) {
        struct mqtt_publication publication = { .topic = request->topic,
                                                .payload = request->reply,
                                                .size = request->reply_size,
                                                .correlation = request->has_correlation ? request->correlation : NULL,
                                                .correlation_size = request->correlation_size,
                                                .expiry_s = MQTT_REPLY_EXPIRY_S };
        return mqtt_publish(request->door->mqtt, &publication, delivered, request);
}

/* 0, or -EAGAIN: no room. */
static int send_reply(struct request *request) {
        int r = publish_reply(request);
        if (r == -EMSGSIZE && replace_by_error(request) >= 0)
                r = publish_reply(request);
        if (r >= 0)
                request->is_sent = true;
        else if (r != -EAGAIN && r != -ENOTCONN)
                free(TAKE_PTR(request->reply));
        return r == -EAGAIN ? r : 0;
}

bool mqtt_requests_pump(struct door_mqtt *door) {
        struct request *request, *spare;
        LIST_FOREACH_SAFE(request, spare, &door->requests.list, link)
        if (request->reply && !request->is_sent && send_reply(request) < 0)
                return false;
        return true;
}

/* --- requests --- */

/* Exactly <root>/v1/client/<name>/reply: a request cannot make a gateway write anywhere else. */
static bool is_client_topic(const struct door_mqtt *door, const char *topic) {
        char name[STR_ID_MAX + 1], expected[MQTT_TOPIC_MAX + 1];
        const char *root = door->api->options.settings->mqtt.root, *begin, *end;
        (void) str_format(expected, sizeof expected, "%s/v1/client/", root);
        if (!str_starts_with(topic, expected))
                return false;
        begin = topic + strlen(expected);
        end = strchr(begin, '/');
        return end && strcmp(end, "/reply") == 0 && str_copy_n(name, sizeof name, begin, (size_t) (end - begin)) >= 0 && str_is_id(name);
}

static struct request *request_new(struct door_mqtt *door, const struct mqtt_message *message, bool is_shared) {
        struct request *request = calloc(1, sizeof *request);
        if (!request)
                return NULL;
        request->door = door;
        request->is_shared = is_shared;
        request->caller.ops = &request_ops;
        request->caller.door = "mqtt";
        request->caller.authority = CALLER_REMOTE;
        (void) str_copy(request->caller.principal, sizeof request->caller.principal, "unsigned");
        caller_init(&request->caller, door->api);
        if (message->response_topic && is_client_topic(door, message->response_topic))
                (void) str_copy(request->topic, sizeof request->topic, message->response_topic);
        else
                door_mqtt_topic(door, "reply", request->topic);
        request->has_correlation = message->correlation;
        request->correlation_size = message->correlation_size;
        if (message->correlation)
                memcpy(request->correlation, message->correlation, message->correlation_size);
        list_append(&door->requests.list, &request->link);
        door->requests.n_requests++;
        return request;
}

void mqtt_request_came(struct door_mqtt *door, const struct mqtt_message *message, bool is_shared) {
        struct request *request;
        uint64_t n_before = 0;
        int fd = -1;
        collect(door);
        request = door->requests.n_requests < MQTT_REQUESTS_MAX ? request_new(door, message, is_shared) : NULL;
        if (!request) {
                if (log_limit_pass(&door->requests.dropped, loop_now_ms(door->api->options.loop), &n_before))
                        log_warning(&(struct log_fields){ .error = "too-many-requests" },
                                    "a request over MQTT was dropped: %zu are not over yet (%" PRIu64 " more since the last report)",
                                    door->requests.n_requests, n_before);
                return;
        }
        call_line(&request->caller, message->payload, message->size, &fd);
        if (is_over(request))
                request_free(request);
}

/* --- life --- */

void mqtt_requests_init(struct door_mqtt *door) {
        list_init(&door->requests.list);
}

void mqtt_requests_deinit(struct door_mqtt *door) {
        struct request *request, *spare;
        LIST_FOREACH_SAFE(request, spare, &door->requests.list, link)
        request_free(request);
}

void mqtt_requests_disconnected(struct door_mqtt *door) {
        collect(door);
}
