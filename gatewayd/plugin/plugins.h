/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Loading of plugins and nothing else: find, check, dlopen, hand them the host table, take them down again. One that fails is
 * reported and left out. What a plugin registers goes into driver/registry.h; the host table (host.c) only wires plugin.h to the
 * floors below.
 */

#include <gatewayd/plugin.h>

#include "ble/ble.h"
#include "config/settings.h"
#include "driver/registry.h"
#include "fleet/fleet.h"
#include "loop/loop.h"

struct plugins;

struct plugins_options {
        struct loop *loop;
        const struct settings *settings; /* must outlive the plugins */
        struct driver_registry *registry;
        struct ble *ble; /* NULL: no Bluetooth for plugins */
};

/* Loads every *.so of the plugin directory that the settings do not switch off, in order of name. A mistake in [plugin NAME] goes to
 * `mistakes`. -ENOMEM only; what failed is told by plugins_each(). */
int plugins_load(const struct plugins_options *options, struct config_errors *mistakes, struct plugins **ret_plugins);
/* Devices are known from now on; before it device->seen and device->each do nothing. */
void plugins_set_fleet(struct plugins *plugins, struct fleet *fleet);
/* The drivers are stopped (driver_registry_stop). Calls unload in reverse order. */
void plugins_free(struct plugins *plugins);

struct plugin_info {
        const char *name; /* of the file where it could not be loaded */
        const char *version;
        const char *summary;
        bool loaded;
        const struct gw_error *error; /* NULL when loaded or switched off */
};
void plugins_each(const struct plugins *plugins, void (*found)(void *ctx, const struct plugin_info *info), void *ctx);
bool plugins_has(const struct plugins *plugins, const char *name);
/* The plugin that brought a driver; NULL. */
const char *plugins_of_driver(const struct plugins *plugins, const char *driver);

/* Is the file one that the daemon may load: owner root or our own user, nobody else may write, nor to its folder? */
int plugin_file_check(const char *path, struct gw_error *err);
