/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The command set (methods.c and its sisters, one table) and the doors it is reached through: the control socket, an MQTT broker, HTTPS. Doors hand
 * commands down through the functions of update/, fleet/ and artifact/ and are told through listeners. Nothing below knows a door.
 */

#include <gatewayd/plugin.h>

#include "artifact/artifact.h"
#include "base/json.h"
#include "config/settings.h"
#include "driver/registry.h"
#include "fleet/fleet.h"
#include "loop/loop.h"
#include "plugin/plugins.h"
#include "store/store.h"
#include "trust/tls.h"
#include "update/update.h"

struct api;

struct api_options {
        struct loop *loop;
        struct store *store;
        struct fleet *fleet;
        struct update *update;
        struct artifacts *artifacts;
        struct http *http; /* NULL is fine where neither [https] nor [notify] is set */
        const struct driver_registry *registry;
        const struct plugins *plugins;
        const struct settings *settings; /* see api_set_settings() */
        const char *gateway_id;
        struct tls *tls; /* for doors to other machines */
        struct ble *ble; /* NULL: no Bluetooth */
        const struct clock *clock; /* NULL: clock_real() */
        /* Name of the clock's state: clock_credible_name(). */
        const char *(*clock_state)(void *ctx);
        /* gateway.reload: reads the configuration again. 0 with *ret_result {changed: [...], adopted}; -EINVAL with every mistake. */
        int (*reload)(void *ctx, struct json **ret_result, struct config_errors *mistakes, struct gw_error *err);
        void *ctx;
};

/* Opens the doors that are configured, and the control socket (mode 0666, control_group: everybody may read, its members command). Errors: those of local_server_new(). */
int api_new(const struct api_options *options, struct api **ret_api, struct gw_error *err);
/* No new commands; what is queued to clients gets a last chance until api_free(). */
void api_stop(struct api *api);
void api_free(struct api *api);
/* Once an hour. */
void api_upkeep(struct api *api);
void api_set_settings(struct api *api, const struct settings *settings);

/*
 * gateway.diagnose: {findings: [{check, level, text, remedy}]}. Also what `gatewayd --diagnose` prints, then without a running daemon: members of
 * options may be NULL but loop and settings. `done` comes once, later: 0 with the findings, which are its own, or -ENOMEM. options must live until
 * then.
 */
struct api_diagnosis;
int api_diagnose(const struct api_options *options, void (*done)(void *ctx, int result, struct json *findings), void *ctx,
                 struct api_diagnosis **ret_diagnosis);
/* `done` does not come. NULL is fine; not after it came. */
void api_diagnose_cancel(struct api_diagnosis *diagnosis);
