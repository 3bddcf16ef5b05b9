/* SPDX-License-Identifier: Apache-2.0 */
#include "ports.h"

#include <stdlib.h>
#include <unistd.h>

struct plugged {
        struct plugged *next;
        char key[GW_KEY_MAX + 1];
        char path[TRANSPORT_PORT_MAX];
};

struct ports {
        struct driver *driver;
        struct gw_timer *timer;
        struct plugged *plugged;
        struct plugged *found; /* while looking */
};

static void list_free(struct plugged *list) {
        while (list) {
                struct plugged *next = list->next;

                free(list);
                list = next;
        }
}

static bool list_holds(const struct plugged *list, const struct plugged *wanted) {
        for (; list; list = list->next)
                if (strcmp(list->key, wanted->key) == 0 && strcmp(list->path, wanted->path) == 0)
                        return true;
        return false;
}

static bool list_has_key(const struct plugged *list, const char *key) {
        for (; list; list = list->next)
                if (strcmp(list->key, key) == 0)
                        return true;
        return false;
}

static void find_device(void *ctx, const struct gw_device *device) {
        struct ports *ports = ctx;
        const struct gw_host *host = ports->driver->host;
        char path[TRANSPORT_PORT_MAX];
        struct plugged *plugged;

        /* A path of the configuration is not checked by the search. */
        if (transport_serial_find(host, device, path, NULL) < 0 || access(path, F_OK) < 0)
                return;
        plugged = calloc(1, sizeof *plugged);
        if (!plugged)
                return;
        snprintf(plugged->key, sizeof plugged->key, "%s", host->device->key(device));
        memcpy(plugged->path, path, sizeof plugged->path);
        plugged->next = ports->found;
        ports->found = plugged;
}

static void look(void *ctx) {
        struct ports *ports = ctx;
        const struct gw_host *host = ports->driver->host;
        const char *driver = ports->driver->transport->driver;
        struct plugged *before = ports->plugged;

        ports->timer = NULL;
        ports->found = NULL;
        host->device->each(host, driver, find_device, ports);
        ports->plugged = ports->found;
        for (const struct plugged *plugged = ports->plugged; plugged; plugged = plugged->next) {
                struct gw_facts facts = GW_FACTS_INIT;

                facts.address = plugged->path;
                if (!list_holds(before, plugged))
                        host->device->seen(host, driver, plugged->key, &facts);
        }
        for (const struct plugged *plugged = before; plugged; plugged = plugged->next)
                if (!list_has_key(ports->plugged, plugged->key))
                        host->device->gone(host, driver, plugged->key);
        list_free(before);
}

static void changed(void *ctx) {
        struct ports *ports = ctx;
        const struct gw_host *host = ports->driver->host;

        if (!ports->timer && host->timer->start(host, 0, look, ports, &ports->timer) < 0)
                ports->timer = NULL;
}

int ports_new(struct driver *driver, struct ports **ret_ports) {
        struct ports *ports = calloc(1, sizeof *ports);
        int r;

        if (!ports)
                return -ENOMEM;
        ports->driver = driver;
        r = driver->host->link->serial_watch(driver->host, changed, ports);
        if (r < 0) {
                free(ports);
                return r;
        }
        changed(ports); /* what is there already */
        *ret_ports = ports;
        return 0;
}

void ports_free(struct ports *ports) {
        if (!ports)
                return;
        ports->driver->host->link->serial_watch(ports->driver->host, NULL, NULL);
        ports->driver->host->timer->cancel(ports->timer);
        list_free(ports->plugged);
        free(ports);
}
