/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The tables of registered drivers, formats and plugin error names. Filled while plugins load, constant afterwards. The
 * constants belong to the plugins; the instances (what a driver's start gave) are kept here and ended by
 * driver_registry_stop().
 */

#include <gatewayd/plugin.h>

struct driver_registry;

int driver_registry_new(struct driver_registry **ret_registry);
void driver_registry_free(struct driver_registry *registry);

/* plugin-misbehaved: bad name, no steps, too many steps; -EEXIST: a second driver of that name. `host` is the plugin's. */
int driver_registry_add(struct driver_registry *registry, const struct gw_driver *driver, const struct gw_host *host, struct gw_error *err);
/* A second format of one name is ignored. */
int driver_registry_add_format(struct driver_registry *registry, const struct gw_format *format, struct gw_error *err);
/* Names beside the catalogue's; `errors` may be NULL. */
int driver_registry_add_errors(struct driver_registry *registry, const struct gw_error_info *errors);

/* How much is registered; whatever came since is taken back: of a plugin whose load failed half way, before its code goes. */
struct driver_registry_mark {
        size_t n_drivers, n_formats, n_errors;
};
struct driver_registry_mark driver_registry_mark(const struct driver_registry *registry);
void driver_registry_take_back(struct driver_registry *registry, const struct driver_registry_mark *mark);

const struct gw_driver *driver_registry_find(const struct driver_registry *registry, const char *name);
/* The started instance; NULL when the driver is not started or failed to. */
void *driver_registry_instance(const struct driver_registry *registry, const char *name);
bool driver_registry_is_started(const struct driver_registry *registry, const char *name);
/* Why a driver is not started; NULL when it is, or was not tried. */
const struct gw_error *driver_registry_start_error(const struct driver_registry *registry, const char *name);
const struct gw_host *driver_registry_host(const struct driver_registry *registry, const char *name);
void driver_registry_each(const struct driver_registry *registry, void (*found)(void *ctx, const struct gw_driver *driver), void *ctx);

/* Starts every driver. One that fails is left out: `failed` is told, the others go on. */
void driver_registry_start(struct driver_registry *registry, void (*failed)(void *ctx, const struct gw_driver *driver, const struct gw_error *err),
                           void *ctx);
void driver_registry_stop(struct driver_registry *registry);

/* The class, meaning and advice of a name: of the catalogue, else of a plugin; NULL when nobody knows it. */
const struct gw_error_info *driver_registry_error(const struct driver_registry *registry, const char *name);
/* Unknown names are terminal. */
enum gw_error_class driver_registry_error_class(const struct driver_registry *registry, const char *name);

/* The array of registered formats; valid as long as the registry. */
const struct gw_format *const *driver_registry_formats(const struct driver_registry *registry, size_t *ret_n);
