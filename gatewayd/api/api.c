/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api.h"

#include <stdlib.h>

#include "api/call.h"
#include "api/certificates.h"
#include "api/door_https.h"
#include "api/door_mqtt.h"
#include "api/door_socket.h"
#include "api/events.h"
#include "api/notify.h"
#include "api/outbox.h"

/* Rows wait for these and for no others. */
static int configure_doors(struct api *api) {
        const struct settings *settings = api->options.settings;
        struct store *store = api->options.store;
        const char *names[EVENT_DOORS_MAX];
        size_t n_names = 0;
        int64_t seq;
        bool notify_is_new = event_table_cursor(store, OUTBOX_DOOR_NOTIFY, &seq) < 0;
        int r;
        if (settings->mqtt.url[0])
                names[n_names++] = OUTBOX_DOOR_MQTT;
        if (settings->https.events_url[0])
                names[n_names++] = OUTBOX_DOOR_HTTPS;
        if (notify_is_configured(settings))
                names[n_names++] = OUTBOX_DOOR_NOTIFY;
        r = event_table_configure_doors(store, names, n_names);
        /* Nobody wants to be told on the day that it is configured what was the matter before. */
        if (r >= 0 && notify_is_configured(settings) && notify_is_new)
                r = event_table_advance(store, OUTBOX_DOOR_NOTIFY, event_table_newest(store));
        return r;
}

static int open_doors(struct api *api) {
        int r = door_mqtt_new(api, &api->mqtt);
        if (r == -ENOENT)
                r = 0;
        if (r >= 0)
                r = door_https_new(api, &api->https);
        return r < 0 ? r : notify_new(api, &api->notify);
}

int api_new(const struct api_options *options, struct api **ret_api, struct gw_error *err) {
        struct api *api = calloc(1, sizeof *api);
        int r;
        if (!api)
                return -ENOMEM;
        api->options = *options;
        api->started_ms = loop_now_ms(options->loop);
        list_init(&api->calls);
        list_init(&api->subscriptions);
        list_init(&api->scans);
        r = configure_doors(api);
        if (r >= 0)
                r = events_start(api);
        if (r >= 0)
                r = door_socket_new(api, &api->socket, err);
        if (r >= 0)
                r = open_doors(api);
        if (r < 0) {
                api_free(api);
                return r;
        }
        *ret_api = api;
        return 0;
}

void api_stop(struct api *api) {
        if (!api || api->stopping)
                return;
        api->stopping = true;
        door_socket_stop(api->socket);
        if (api->mqtt)
                door_mqtt_stop(api->mqtt);
        door_https_stop(api->https);
        notify_stop(api->notify);
}

void api_upkeep(struct api *api) {
        certificates_upkeep(api);
        if (api->mqtt)
                door_mqtt_upkeep(api->mqtt);
}

void api_free(struct api *api) {
        struct call *call, *spare;
        if (!api)
                return;
        notify_free(api->notify);
        door_https_free(api->https);
        door_socket_free(api->socket);
        door_mqtt_free(api->mqtt);
        LIST_FOREACH_SAFE(call, spare, &api->calls, link)
        call_free(call);
        events_stop(api);
        free(api);
}

void api_set_settings(struct api *api, const struct settings *settings) {
        api->options.settings = settings;
        door_socket_set_group(api->socket, settings->gateway.control_group);
        if (api->mqtt)
                door_mqtt_set_settings(api->mqtt);
        door_https_renew(api->https);
        certificates_upkeep(api);
}
