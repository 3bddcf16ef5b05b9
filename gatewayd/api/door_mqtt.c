/* SPDX-License-Identifier: Apache-2.0 */
#include "api/door_mqtt_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/random.h>

#include "api/documents.h"
#include "base/backoff.h"
#include "base/str.h"

void door_mqtt_topic(const struct door_mqtt *door, const char *name, char topic[MQTT_TOPIC_MAX + 1]) {
        (void) str_format(topic, MQTT_TOPIC_MAX + 1, "%s%s", door->own, name);
}

void door_mqtt_pump(struct door_mqtt *door) {
        if (!door->mqtt || !mqtt_is_connected(door->mqtt))
                return;
        if (mqtt_requests_pump(door) && mqtt_events_pump(door))
                (void) mqtt_documents_pump(door);
}

/* --- subscriptions --- */

static int add_filter(struct door_mqtt *door, const char *whose, const char *what) {
        char filter[MQTT_TOPIC_MAX + 1];
        (void) str_format(filter, sizeof filter, "%s/v1/%s/%s", door->api->options.settings->mqtt.root, whose, what);
        return str_list_append(&door->filters, filter);
}

static int add_command_filters(struct door_mqtt *door, const char *whose) {
        int r = add_filter(door, whose, "command");
        return r < 0 ? r : add_filter(door, whose, "desired/+");
}

/* The own status first: whether another one has it must be seen before it is written. */
static int make_filters(struct door_mqtt *door) {
        const struct str_list *groups = &door->api->options.settings->gateway.groups;
        char whose[STR_GATEWAY_ID_MAX + 16];
        int r;
        str_list_deinit(&door->filters);
        door->n_subscribed = 0;
        (void) str_format(whose, sizeof whose, "gw/%s", door->api->options.gateway_id);
        r = add_filter(door, whose, "status");
        if (r >= 0)
                r = add_command_filters(door, whose);
        if (r >= 0)
                r = add_command_filters(door, "all");
        for (size_t i = 0; i < groups->n_items && r >= 0; i++) {
                (void) str_format(whose, sizeof whose, "group/%s", groups->items[i]);
                r = add_command_filters(door, whose);
        }
        return r;
}

static void subscribe_more(struct door_mqtt *door);

static void subscribed(void *ctx, int reason) {
        struct door_mqtt *door = ctx;
        struct gw_error err;
        if (reason >= MQTT_REASON_FAILURE && log_limit_pass(&door->refused_filters, loop_now_ms(door->api->options.loop), NULL)) {
                mqtt_reason_error(reason, "subscribe to", "its topics", &err);
                log_warning(&(struct log_fields){ .error = err.name }, "%s", err.text);
        }
        if (reason >= 0)
                subscribe_more(door);
}

static void subscribe_more(struct door_mqtt *door) {
        while (door->n_subscribed < door->filters.n_items &&
               mqtt_subscribe(door->mqtt, door->filters.items[door->n_subscribed], subscribed, door) >= 0)
                door->n_subscribed++;
}

/* What an earlier life has left at the broker is compared with what there is now: at the first connect, with the second that is over. */
static void subscribe_to_documents(struct door_mqtt *door) {
        static const char *const names[] = { "campaign/+", "device/+" };
        char topic[MQTT_TOPIC_MAX + 1];
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                door_mqtt_topic(door, names[i], topic);
                if (door->n_connected == 1)
                        (void) mqtt_subscribe(door->mqtt, topic, NULL, NULL);
                else if (door->n_connected == 2)
                        (void) mqtt_unsubscribe(door->mqtt, topic, NULL, NULL);
        }
}

/* A subscription of an earlier configuration, which the broker has kept with the session. */
static void unsubscribe(struct door_mqtt *door, const char *topic) {
        char filter[MQTT_TOPIC_MAX + 1];
        char *campaign;
        (void) str_copy(filter, sizeof filter, topic);
        campaign = strstr(filter, "/desired/");
        if (campaign && campaign[strlen("/desired/")])
                (void) str_copy(campaign, sizeof "/desired/+", "/desired/+");
        (void) mqtt_unsubscribe(door->mqtt, filter, NULL, NULL);
}

/* --- messages --- */

static bool is_group(const struct door_mqtt *door, const char *name, size_t size) {
        const struct str_list *groups = &door->api->options.settings->gateway.groups;
        for (size_t i = 0; i < groups->n_items; i++)
                if (strlen(groups->items[i]) == size && strncmp(groups->items[i], name, size) == 0)
                        return true;
        return false;
}

/* What follows gw/<gateway>/, group/<one of ours>/ or all/; NULL: not for us. */
static const char *address_of(const struct door_mqtt *door, const char *topic, bool *ret_is_shared) {
        char prefix[MQTT_TOPIC_MAX + 1];
        const char *rest, *slash;
        *ret_is_shared = false;
        if (str_starts_with(topic, door->own))
                return topic + strlen(door->own);
        (void) str_format(prefix, sizeof prefix, "%s/v1/", door->api->options.settings->mqtt.root);
        if (!str_starts_with(topic, prefix))
                return NULL;
        rest = topic + strlen(prefix);
        *ret_is_shared = true;
        if (str_starts_with(rest, "all/"))
                return rest + strlen("all/");
        if (!str_starts_with(rest, "group/"))
                return NULL;
        rest += strlen("group/");
        slash = strchr(rest, '/');
        return slash && is_group(door, rest, (size_t) (slash - rest)) ? slash + 1 : NULL;
}

static void command_came(struct door_mqtt *door, const struct mqtt_message *message, bool is_shared) {
        uint64_t n_before = 0;
        if (message->retained) {
                /* It would be carried out again at each connect, and long after it was meant. */
                if (message->size > 0 && log_limit_pass(&door->retained, loop_now_ms(door->api->options.loop), &n_before))
                        log_warning(&(struct log_fields){ .error = "request-invalid" },
                                    "a retained message on %s was dropped: commands are never retained (%" PRIu64 " more since the last report)",
                                    message->topic, n_before);
                return;
        }
        if (message->size > 0 && !door->stopping)
                mqtt_request_came(door, message, is_shared);
}

struct desire {
        struct list link; /* door.desires */
        struct door_mqtt *door;
        size_t size;
        char campaign[STR_ID_MAX + 1];
};

static void desire_free(struct desire *desire) {
        desire->door->n_desired_bytes -= desire->size;
        list_remove(&desire->link);
        free(desire);
}

/* What is retained comes again with each subscription. */
static void read_again(struct door_mqtt *door) {
        door->n_subscribed = 0;
        if (door->mqtt && mqtt_is_connected(door->mqtt))
                subscribe_more(door);
}

static void look_at_clock(void *ctx) {
        struct door_mqtt *door = ctx;
        const struct api_options *options = &door->api->options;
        door->clock_timer = NULL;
        if (str_equal(options->clock_state(options->ctx), "not-credible"))
                (void) timer_start(options->loop, MQTT_CLOCK_LOOK_MS, look_at_clock, door, &door->clock_timer);
        else
                read_again(door);
}

static void time_has_passed(void *ctx) {
        struct door_mqtt *door = ctx;
        door->again_timer = NULL;
        read_again(door);
}

/* The document is the same later, the gateway may not be. */
static bool passes_with_time(const char *error) {
        static const char *const names[] = { "document-not-yet-valid", "outbox-full", "too-many-requests", "out-of-memory" };
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (strcmp(names[i], error) == 0)
                        return true;
        return false;
}

static void plan_to_read_again(struct door_mqtt *door, const char *error) {
        struct loop *loop = door->api->options.loop;
        if (strcmp(error, "clock-not-credible") == 0 && !door->clock_timer)
                (void) timer_start(loop, MQTT_CLOCK_LOOK_MS, look_at_clock, door, &door->clock_timer);
        if (!passes_with_time(error) || door->again_timer)
                return;
        door->again_ms = MIN(MAX(2 * door->again_ms, MQTT_AGAIN_FIRST_MS), MQTT_AGAIN_MAX_MS);
        (void) timer_start(loop, door->again_ms, time_has_passed, door, &door->again_timer);
}

static void desire_refused(struct door_mqtt *door, const char *campaign, const struct gw_error *err) {
        uint64_t n_before = 0;
        if (strcmp(err->name, "not-for-this-gateway") == 0)
                return;
        if (log_limit_pass(&door->desired, loop_now_ms(door->api->options.loop), &n_before))
                log_warning(&(struct log_fields){ .error = err->name, .campaign = campaign },
                            "the desired campaign %s is not accepted: %s (%" PRIu64 " more since the last report)", campaign, err->text, n_before);
        plan_to_read_again(door, err->name);
}

static void desire_answered(void *ctx, struct json *result, const struct gw_error *err, const struct json_errors *mistakes) {
        struct desire *desire = ctx;
        (void) result;
        (void) mistakes;
        if (err)
                desire_refused(desire->door, desire->campaign, err);
        desire_free(desire);
}

/* An empty one was taken away: what has begun goes on. */
static void desired_came(struct door_mqtt *door, const char *campaign, const struct mqtt_message *message) {
        const struct update_actor actor = { .door = "mqtt", .principal = "unsigned" };
        struct gw_error err;
        struct desire *desire;
        if (message->size == 0 || door->stopping || !str_is_id(campaign))
                return;
        desire = message->size + door->n_desired_bytes <= MQTT_DESIRED_BYTES_MAX ? calloc(1, sizeof *desire) : NULL;
        if (!desire) {
                gw_error_set(&err, "too-many-requests", "too many documents came at once");
                desire_refused(door, campaign, &err);
                return;
        }
        desire->door = door;
        desire->size = message->size;
        door->n_desired_bytes += desire->size;
        list_append(&door->desires, &desire->link);
        (void) str_copy(desire->campaign, sizeof desire->campaign, campaign);
        if (update_campaign_start_signed(door->api->options.update, &actor, message->payload, message->size, desire_answered, desire) < 0)
                desire_free(desire);
}

static void message_came(void *ctx, const struct mqtt_message *message) {
        struct door_mqtt *door = ctx;
        bool is_shared;
        const char *name = address_of(door, message->topic, &is_shared);
        if (!name) {
                unsubscribe(door, message->topic);
        } else if (strcmp(name, "command") == 0) {
                command_came(door, message, is_shared);
        } else if (str_starts_with(name, "desired/")) {
                desired_came(door, name + strlen("desired/"), message);
        } else if (!is_shared) {
                mqtt_document_came(door, name, message);
        }
}

/* --- the connection --- */

static void connected(void *ctx, const struct mqtt_connection *connection) {
        struct door_mqtt *door = ctx;
        log_info(NULL, "mqtt: connected to %s port %u as %s%s", door->url.host, door->url.port, door->client_id,
                 connection->session_present ? "" : ", a new session");
        door->connected_ms = loop_now_ms(door->api->options.loop);
        door->error = (struct gw_error){ 0 };
        door->n_subscribed = 0;
        subscribe_more(door);
        door->n_connected++;
        subscribe_to_documents(door);
        mqtt_documents_connected(door, connection->session_present);
        door_mqtt_pump(door);
}

/* A broker that is away for a week is not told of every minute. */
static void log_failure(struct door_mqtt *door, const struct mqtt_failure *failure) {
        bool is_new = strcmp(failure->err.name, door->error.name) != 0;
        uint64_t n_before = 0;
        if (is_new)
                door->failures.next_ms = 0;
        if (log_limit_pass(&door->failures, loop_now_ms(door->api->options.loop), &n_before))
                log_warning(&(struct log_fields){ .error = failure->err.name }, "mqtt: %s; next attempt in %" PRId64 " s (%" PRIu64 " more since the last report)",
                            failure->err.text, failure->retry_in_ms / 1000, n_before);
}

static void disconnected(void *ctx, const struct mqtt_failure *failure) {
        struct door_mqtt *door = ctx;
        log_failure(door, failure);
        door->error = failure->err;
        door->connected_ms = 0;
        door->retry_ms = loop_now_ms(door->api->options.loop) + failure->retry_in_ms;
        mqtt_requests_disconnected(door);
        mqtt_events_disconnected(door);
        mqtt_documents_disconnected(door);
}

static void room(void *ctx) {
        door_mqtt_pump(ctx);
}

static const struct mqtt_handler mqtt_handler = { .connected = connected, .disconnected = disconnected, .message = message_came, .room = room };

static void stay_away(struct door_mqtt *door) {
        struct mqtt_failure failure = { .err = door->duplicate,
                                        .retry_in_ms = MQTT_TAKEN_OVER_BACKOFF_MS +
                                                       backoff_ms(1, MQTT_TAKEN_OVER_BACKOFF_MS, MQTT_TAKEN_OVER_BACKOFF_MS, backoff_random()) };
        mqtt_stay_away(door->mqtt, failure.retry_in_ms);
        disconnected(door, &failure);
}

/* Two that take the connection from each other all day would both be useless: the one with the lower instance leaves for a while. */
void door_mqtt_is_duplicate(struct door_mqtt *door, const char *instance) {
        bool leaves = strcmp(door->instance, instance) < 0;
        int64_t now_ms = loop_now_ms(door->api->options.loop);
        door->duplicate_until_ms = now_ms + MQTT_DUPLICATE_TOLD_MS;
        gw_error_set(&door->duplicate, "broker-session-taken-over", "another gateway with the id %s is connected to %s; %s", door->api->options.gateway_id,
                     door->url.host, leaves ? "this one stays away for a while" : "they take the connection from each other");
        if (log_limit_pass(&door->duplicates, now_ms, NULL))
                log_error(&(struct log_fields){ .error = door->duplicate.name }, "mqtt: %s", door->duplicate.text);
        if (leaves)
                stay_away(door);
}

/* --- starting --- */

static void begin(void *ctx);

static void tls_is_ready(void *ctx) {
        struct door_mqtt *door = ctx;
        if (door->mqtt)
                mqtt_retry(door->mqtt);
}

static const char *text_or_null(const char *text) {
        return text && text[0] ? text : NULL;
}

static void prepare_tls(struct door_mqtt *door) {
        const struct settings *settings = door->api->options.settings;
        const struct settings_credentials *credentials = &settings->mqtt.credentials;
        struct tls_options options = { .use = "mqtt",
                                       .ca_file = text_or_null(credentials->ca_file[0] ? credentials->ca_file : settings->trust.ca_file),
                                       .client_certificate = text_or_null(credentials->client_cert),
                                       .client_key = text_or_null(credentials->client_key),
                                       .host = door->url.host,
                                       .port = door->url.port };
        door_tls_init(&door->tls, door->api->options.loop, door->api->options.tls, &options, tls_is_ready, door);
}

static int connect_to(struct door_mqtt *door, const char *password, struct gw_error *err) {
        const struct settings *settings = door->api->options.settings;
        _cleanup_free_ char *will = NULL;
        char topic[MQTT_TOPIC_MAX + 1];
        struct mqtt_options options = { .host = door->url.host,
                                        .port = door->url.port,
                                        .client_id = door->client_id,
                                        .user = text_or_null(settings->mqtt.credentials.user),
                                        .password = text_or_null(password),
                                        .tls = door->url.tls ? &door->tls.callbacks : NULL,
                                        .keepalive_s = (uint16_t) MIN(settings->mqtt.keepalive_ms / 1000, UINT16_MAX),
                                        .session_expiry_s = (uint32_t) MIN(settings->mqtt.session_expiry_ms / 1000, UINT32_MAX) };
        int r = documents_offline(door->api, door->instance, &will, &options.will.size);
        door_mqtt_topic(door, "status", topic);
        options.will.topic = topic;
        options.will.payload = will;
        if (r >= 0)
                r = mqtt_new(door->api->options.loop, &options, &mqtt_handler, door, &door->mqtt);
        if (r < 0)
                gw_error_set(err, "out-of-memory", "no memory for the MQTT client");
        return r;
}

static int try_to_begin(struct door_mqtt *door, struct gw_error *err) {
        const struct settings *settings = door->api->options.settings;
        _cleanup_secrets_ struct secrets secrets;
        int r = secrets_read(&settings->mqtt.credentials, &secrets, err);
        if (r >= 0)
                r = mqtt_url_parse(settings->mqtt.url, &door->url, err);
        if (r < 0)
                return r;
        if (door->url.tls)
                prepare_tls(door);
        return connect_to(door, secrets.password, err);
}

static void begin(void *ctx) {
        struct door_mqtt *door = ctx;
        struct mqtt_failure failure = { .retry_in_ms = MQTT_START_RETRY_MS };
        door->start_timer = NULL;
        if (try_to_begin(door, &failure.err) >= 0)
                return;
        log_failure(door, &failure);
        door->error = failure.err;
        (void) timer_start(door->api->options.loop, failure.retry_in_ms, begin, door, &door->start_timer);
}

static int choose_instance(struct door_mqtt *door) {
        uint8_t random[(MQTT_INSTANCE_SIZE - 1) / 2];
        if (getrandom(random, sizeof random, 0) != sizeof random)
                return -EIO;
        return str_hex_encode(door->instance, sizeof door->instance, random, sizeof random);
}

int door_mqtt_new(struct api *api, struct door_mqtt **ret_door) {
        const struct settings *settings = api->options.settings;
        struct door_mqtt *door;
        int r;
        if (!settings->mqtt.url[0])
                return -ENOENT;
        door = calloc(1, sizeof *door);
        if (!door)
                return -ENOMEM;
        door->api = api;
        mqtt_requests_init(door);
        list_init(&door->desires);
        (void) str_copy(door->client_id, sizeof door->client_id, api->options.gateway_id);
        (void) str_format(door->own, sizeof door->own, "%s/v1/gw/%s/", settings->mqtt.root, api->options.gateway_id);
        r = choose_instance(door);
        if (r >= 0)
                r = make_filters(door);
        if (r >= 0)
                r = mqtt_documents_init(door);
        if (r >= 0)
                r = mqtt_events_init(door);
        if (r >= 0)
                r = timer_start(api->options.loop, 0, begin, door, &door->start_timer);
        if (r < 0) {
                door_mqtt_free(door);
                return r;
        }
        *ret_door = door;
        return 0;
}

void door_mqtt_stop(struct door_mqtt *door) {
        door->stopping = true;
        mqtt_documents_status_changed(door);
}

void door_mqtt_free(struct door_mqtt *door) {
        struct desire *desire, *spare;
        if (!door)
                return;
        LIST_FOREACH_SAFE(desire, spare, &door->desires, link)
        desire_free(desire);
        timer_cancel(door->start_timer);
        timer_cancel(door->clock_timer);
        timer_cancel(door->again_timer);
        mqtt_free(door->mqtt, true);
        door_tls_deinit(&door->tls);
        mqtt_requests_deinit(door);
        mqtt_events_deinit(door);
        mqtt_documents_deinit(door);
        str_list_deinit(&door->filters);
        free(door);
}

void door_mqtt_set_settings(struct door_mqtt *door) {
        if (make_filters(door) >= 0 && door->mqtt && mqtt_is_connected(door->mqtt))
                subscribe_more(door);
}

void door_mqtt_upkeep(struct door_mqtt *door) {
        mqtt_documents_upkeep(door);
}

void door_mqtt_describe(const struct door_mqtt *door, struct json *json, struct gw_error *ret_problem) {
        int64_t now_ms = loop_now_ms(door->api->options.loop);
        json_set_string(json, "door", "mqtt");
        json_set_string(json, "peer", door->url.host[0] ? door->url.host : NULL);
        json_set_string(json, "state", door->connected_ms > 0 ? "connected" : "disconnected");
        if (door->connected_ms == 0 && door->retry_ms > now_ms)
                json_set_int(json, "retry_in_ms", door->retry_ms - now_ms);
        if (door->duplicate_until_ms > now_ms)
                *ret_problem = door->duplicate;
        else
                *ret_problem = gw_error_is_set(&door->error) ? door->error : door->events.error;
}
