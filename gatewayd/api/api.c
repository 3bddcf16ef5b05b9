/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api.h"

#include <stdlib.h>

#include "api/call.h"
#include "api/door_socket.h"
#include "api/events.h"

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
        r = events_start(api);
        if (r >= 0)
                r = door_socket_new(api, &api->socket, err);
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
}

void api_free(struct api *api) {
        struct call *call, *spare;
        if (!api)
                return;
        door_socket_free(api->socket);
        LIST_FOREACH_SAFE(call, spare, &api->calls, link)
        call_free(call);
        events_stop(api);
        free(api);
}

void api_set_settings(struct api *api, const struct settings *settings) {
        api->options.settings = settings;
        door_socket_set_group(api->socket, settings->gateway.control_group);
}
