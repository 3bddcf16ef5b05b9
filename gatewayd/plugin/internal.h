/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Between plugins.c and host.c. */

#include "loop/serial_ports.h"
#include "plugin/plugins.h"

struct plugin {
        struct plugins *plugins;
        char *name;                     /* of the file, without .so */
        void *handle;                   /* of dlopen */
        const struct gw_plugin *constant;
        struct gw_settings *values;
        struct gw_host host;
        void *instance;
        bool loading, loaded;
        struct gw_error error;
        struct serial_ports_watch *watch;
};

struct plugins {
        struct plugins_options options;
        struct fleet *fleet;
        struct plugin **items;
        size_t n_items;
};

/* Fills plugin->host. */
void host_init(struct plugin *plugin);
