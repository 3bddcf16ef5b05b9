/* SPDX-License-Identifier: Apache-2.0 */
#include "api/door_mqtt_internal.h"

#include <inttypes.h>
#include <stdlib.h>

#include "api/documents.h"
#include "base/str.h"
#include "store/campaign_table.h"

#define NAME_SIZE (STR_DEVICE_ID_SIZE + 16) /* "campaign/" or "device/" and the id */
#define SLICE_MS 2 /* of one turn; the report of a large campaign takes its time */
#define REFUSED_AGAIN_MS (10 * 60 * 1000)

/*
 *     clean --(something changed)--> dirty --(due, and room)--> in flight --(acknowledged)--> clean
 *                                      ^                            | changed meanwhile, connection lost, refused
 *                                      +----------------------------+
 *
 * However often something changes, its document is published at most once an interval, with what is true then.
 */
struct mqtt_document {
        struct list link; /* documents.dirty, while it is dirty */
        struct door_mqtt *door;
        char name[NAME_SIZE];
        int64_t not_before_ms;
        bool is_in_flight;
        bool is_gone;        /* what is in flight clears it */
        bool is_status;      /* of what is in flight: state online */
};

static int64_t now_of(const struct door_mqtt *door) {
        return loop_now_ms(door->api->options.loop);
}

/* --- the documents, sorted by name --- */

/* Where it is or belongs. */
static size_t place_of(const struct mqtt_documents *documents, const char *name) {
        size_t low = 0, high = documents->n_all;
        while (low < high) {
                size_t middle = low + (high - low) / 2;
                if (strcmp(documents->all[middle]->name, name) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

static struct mqtt_document *find(const struct mqtt_documents *documents, const char *name) {
        size_t place = place_of(documents, name);
        return place < documents->n_all && strcmp(documents->all[place]->name, name) == 0 ? documents->all[place] : NULL;
}

static struct mqtt_document *add(struct door_mqtt *door, const char *name) {
        struct mqtt_documents *documents = &door->documents;
        size_t place = place_of(documents, name);
        struct mqtt_document *document;
        if (documents->n_all == documents->capacity) {
                size_t capacity = documents->capacity ? 2 * documents->capacity : 64;
                struct mqtt_document **all = realloc(documents->all, capacity * sizeof *all);
                if (!all)
                        return NULL;
                documents->all = all;
                documents->capacity = capacity;
        }
        document = calloc(1, sizeof *document);
        if (!document)
                return NULL;
        document->door = door;
        list_init(&document->link);
        (void) str_copy(document->name, sizeof document->name, name);
        memmove(&documents->all[place + 1], &documents->all[place], (documents->n_all - place) * sizeof *documents->all);
        documents->all[place] = document;
        documents->n_all++;
        return document;
}

static void drop(struct mqtt_document *document) {
        struct mqtt_documents *documents = &document->door->documents;
        size_t place = place_of(documents, document->name);
        memmove(&documents->all[place], &documents->all[place + 1], (--documents->n_all - place) * sizeof *documents->all);
        list_remove(&document->link);
        free(document);
}

/* --- when --- */

static void is_due(void *ctx) {
        struct door_mqtt *door = ctx;
        door->documents.timer = NULL;
        door->documents.due_ms = INT64_MAX;
        door_mqtt_pump(door);
}

static void disarm(struct mqtt_documents *documents) {
        timer_cancel(TAKE_PTR(documents->timer));
        documents->due_ms = INT64_MAX;
}

static void arm_at(struct door_mqtt *door, int64_t due_ms) {
        struct mqtt_documents *documents = &door->documents;
        if (due_ms >= documents->due_ms)
                return;
        timer_cancel(TAKE_PTR(documents->timer));
        documents->due_ms = due_ms;
        (void) timer_start(door->api->options.loop, due_ms - now_of(door), is_due, door, &documents->timer);
}

/* At the earliest one that waits for its time. */
static void arm(struct door_mqtt *door) {
        const struct mqtt_document *document;
        int64_t due_ms = INT64_MAX;
        LIST_FOREACH(document, &door->documents.dirty, link)
        if (!document->is_in_flight)
                due_ms = MIN(due_ms, document->not_before_ms);
        disarm(&door->documents);
        arm_at(door, due_ms);
}

static void set_dirty(struct mqtt_document *document) {
        if (!list_is_linked(&document->link))
                list_append(&document->door->documents.dirty, &document->link);
}

/* Nothing happens before the next turn: a change often comes with others. */
static void changed(struct door_mqtt *door, const char *kind, const char *id) {
        struct mqtt_document *document;
        char name[NAME_SIZE];
        if (!door->documents.was_connected)
                return; /* everything is published at the first connect */
        (void) str_format(name, sizeof name, "%s%s", kind, id);
        document = find(&door->documents, name);
        if (!document)
                document = add(door, name);
        if (!document || list_is_linked(&document->link))
                return;
        set_dirty(document);
        if (mqtt_is_connected(door->mqtt) && !document->is_in_flight)
                arm_at(door, document->not_before_ms);
}

static int64_t interval_of(const struct mqtt_document *document) {
        return str_starts_with(document->name, "device/") ? MQTT_DOCUMENT_INTERVAL_MS
                                                          : document->door->api->options.settings->mqtt.progress_interval_ms;
}

/* --- publishing --- */

static void refused(struct mqtt_document *document, int reason) {
        struct door_mqtt *door = document->door;
        char topic[MQTT_TOPIC_MAX + 1];
        struct gw_error err;
        uint64_t n_before = 0;
        door_mqtt_topic(door, document->name, topic);
        mqtt_reason_error(reason, "publish to", topic, &err);
        if (log_limit_pass(&door->documents.refusals, now_of(door), &n_before))
                log_warning(&(struct log_fields){ .error = err.name }, "%s (%" PRIu64 " more since the last report)", err.text, n_before);
        document->not_before_ms = now_of(door) + REFUSED_AGAIN_MS;
        set_dirty(document);
}

static void acknowledged(void *ctx, int reason) {
        struct mqtt_document *document = ctx;
        struct door_mqtt *door = document->door;
        document->is_in_flight = false;
        if (reason < 0) {
                set_dirty(document); /* for the next connection */
                return;
        }
        if (reason >= MQTT_REASON_FAILURE)
                refused(document, reason);
        else if (document->is_status)
                door->documents.status_delivered = true;
        if (document->is_gone && reason < MQTT_REASON_FAILURE && !list_is_linked(&document->link))
                drop(document);
        door_mqtt_pump(door);
}

static int describe(const struct mqtt_document *document, char **ret_text, size_t *ret_size) {
        struct door_mqtt *door = document->door;
        const struct documents_status status = { .instance = door->instance, .stopping = door->stopping };
        if (str_starts_with(document->name, "campaign/"))
                return documents_campaign(door->api, document->name + strlen("campaign/"), ret_text, ret_size);
        if (str_starts_with(document->name, "device/"))
                return documents_device(door->api, document->name + strlen("device/"), ret_text, ret_size);
        return documents_status(door->api, &status, ret_text, ret_size);
}

/* 0, or -EAGAIN: no room. What cannot be written now is tried again at its next change. */
static int publish(struct mqtt_document *document) {
        struct door_mqtt *door = document->door;
        _cleanup_free_ char *text = NULL;
        char topic[MQTT_TOPIC_MAX + 1];
        struct mqtt_publication publication = { .topic = topic, .retain = true };
        int r = describe(document, &text, &publication.size);
        document->is_gone = r == -ENOENT;
        if (r < 0 && r != -ENOENT) {
                list_remove(&document->link);
                return 0;
        }
        document->is_status = strcmp(document->name, "status") == 0;
        door_mqtt_topic(door, document->name, topic);
        publication.payload = text ? text : "";
        r = mqtt_publish(door->mqtt, &publication, acknowledged, document);
        if (r == -EAGAIN || r == -ENOTCONN)
                return -EAGAIN;
        list_remove(&document->link);
        if (r == -EMSGSIZE)
                refused(document, MQTT_REASON_PACKET_TOO_LARGE);
        document->is_in_flight = r >= 0;
        document->not_before_ms = MAX(document->not_before_ms, now_of(door) + interval_of(document));
        return 0;
}

bool mqtt_documents_pump(struct door_mqtt *door) {
        struct mqtt_documents *documents = &door->documents;
        struct mqtt_document *document, *spare;
        int64_t now_ms = now_of(door);
        bool has_room = true;
        LIST_FOREACH_SAFE(document, spare, &documents->dirty, link) {
                if (document->is_in_flight || document->not_before_ms > now_ms)
                        continue;
                if (now_of(door) - now_ms > SLICE_MS) {
                        arm_at(door, now_ms); /* other work first */
                        return true;
                }
                has_room = publish(document) >= 0;
                if (!has_room)
                        break;
        }
        if (has_room)
                arm(door); /* else the room that comes wakes this */
        return has_room;
}

/* --- what changes --- */

static void event_came(void *ctx, const struct event_row *event) {
        struct door_mqtt *door = ctx;
        changed(door, "status", "");
        if (event->campaign)
                changed(door, "campaign/", event->campaign);
        if (event->device)
                changed(door, "device/", event->device);
}

static void progress_came(void *ctx, const struct json *progress) {
        (void) progress;
        changed(ctx, "status", "");
}

static const struct update_listener update_listener = { .event = event_came, .progress = progress_came };

static void fleet_came(void *ctx, struct gw_device *device, enum fleet_event event) {
        struct door_mqtt *door = ctx;
        if (event == FLEET_EVENT_SEEN || (!device->adopted && event != FLEET_EVENT_FORGOTTEN))
                return;
        changed(door, "device/", device->id);
        changed(door, "status", "");
}

/* --- the connection --- */

static void device_found(void *ctx, struct gw_device *device) {
        if (device->adopted)
                changed(ctx, "device/", device->id);
}

static int campaign_found(void *ctx, struct campaign_row *row) {
        changed(ctx, "campaign/", row->id);
        return 0;
}

/* A broker that has kept the session has kept what it retains, too. */
void mqtt_documents_connected(struct door_mqtt *door, bool has_kept_session) {
        struct mqtt_documents *documents = &door->documents;
        bool only_changed = has_kept_session && documents->was_connected;
        documents->was_connected = true;
        disarm(documents);
        for (size_t i = 0; i < documents->n_all; i++) {
                documents->all[i]->not_before_ms = 0;
                if (!only_changed)
                        set_dirty(documents->all[i]);
        }
        changed(door, "status", "");
        if (!only_changed) {
                (void) campaign_table_each(door->api->options.store, false, campaign_found, door);
                (void) fleet_each(door->api->options.fleet, device_found, door);
        }
        arm(door);
}

void mqtt_documents_disconnected(struct door_mqtt *door) {
        disarm(&door->documents);
}

void mqtt_documents_status_changed(struct door_mqtt *door) {
        changed(door, "status", "");
}

/* The own status is looked at for as long as this is connected, the others once. */
void mqtt_document_came(struct door_mqtt *door, const char *name, const struct mqtt_message *message) {
        _cleanup_json_ struct json *json = NULL;
        const char *instance;
        if (message->size == 0)
                return;
        if (strcmp(name, "status") != 0) {
                if ((str_starts_with(name, "campaign/") || str_starts_with(name, "device/")) && strlen(name) < NAME_SIZE &&
                    !find(&door->documents, name))
                        changed(door, name, "");
                return;
        }
        /* Before the own one was delivered it is what an earlier life has left. */
        if (!door->documents.status_delivered || json_parse(message->payload, message->size, 0, &json, NULL) < 0)
                return;
        instance = json_member_text(json, "instance");
        if (str_equal(json_member_text(json, "state"), "online") && instance && strcmp(instance, door->instance) != 0)
                door_mqtt_is_duplicate(door, instance);
}

void mqtt_documents_upkeep(struct door_mqtt *door) {
        const struct mqtt_documents *documents = &door->documents;
        for (size_t i = 0; i < documents->n_all; i++) {
                _cleanup_campaign_row_ struct campaign_row row = { 0 };
                const char *name = documents->all[i]->name;
                if (str_starts_with(name, "campaign/") &&
                    campaign_table_find(door->api->options.store, name + strlen("campaign/"), -1, &row) == -ENOENT)
                        changed(door, name, "");
        }
}

/* --- life --- */

int mqtt_documents_init(struct door_mqtt *door) {
        struct mqtt_documents *documents = &door->documents;
        const struct api_options *options = &door->api->options;
        int r;
        list_init(&documents->dirty);
        documents->due_ms = INT64_MAX;
        r = update_listen(options->update, &update_listener, door);
        documents->listening_update = r >= 0;
        if (r >= 0)
                r = fleet_listen(options->fleet, fleet_came, door);
        documents->listening_fleet = r >= 0 && documents->listening_update;
        return r;
}

void mqtt_documents_deinit(struct door_mqtt *door) {
        struct mqtt_documents *documents = &door->documents;
        const struct api_options *options = &door->api->options;
        if (documents->listening_update)
                update_unlisten(options->update, &update_listener, door);
        if (documents->listening_fleet)
                fleet_unlisten(options->fleet, fleet_came, door);
        timer_cancel(TAKE_PTR(documents->timer));
        for (size_t i = 0; i < documents->n_all; i++)
                free(documents->all[i]);
        free(documents->all);
        documents->all = NULL;
        documents->n_all = 0;
}
