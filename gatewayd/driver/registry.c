/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/registry.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error_catalogue.h"

#define FORMATS_MAX 32
#define ERROR_TABLES_MAX 32

struct entry {
        const struct gw_driver *driver;
        const struct gw_host *host;
        void *instance;
        bool started;
        struct gw_error error; /* why it is not */
};

struct driver_registry {
        struct entry entries[GW_DRIVERS_MAX];
        size_t n_entries;
        const struct gw_format *formats[FORMATS_MAX];
        size_t n_formats;
        const struct gw_error_info *errors[ERROR_TABLES_MAX];
        size_t n_errors;
};

int driver_registry_new(struct driver_registry **ret_registry) {
        struct driver_registry *registry = calloc(1, sizeof *registry);
        if (!registry)
                return -ENOMEM;
        *ret_registry = registry;
        return 0;
}

void driver_registry_free(struct driver_registry *registry) {
        free(registry);
}

static struct entry *find_entry(const struct driver_registry *registry, const char *name) {
        for (size_t i = 0; i < registry->n_entries; i++)
                if (strcmp(registry->entries[i].driver->name, name) == 0)
                        return (struct entry *) &registry->entries[i];
        return NULL;
}

static bool name_is_valid(const char *name) {
        size_t length = name ? strlen(name) : 0;
        return length >= 1 && length <= 32 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

static int check_operation(const struct gw_driver *driver, const struct gw_operation *operation, struct gw_error *err) {
        if (operation->n_steps > GW_STEPS_MAX || (operation->n_steps > 0 && !operation->steps)) {
                gw_error_set(err, "plugin-misbehaved", "driver %s: an operation has %zu steps, at most %d are allowed", driver->name,
                             operation->n_steps, GW_STEPS_MAX);
                return -EINVAL;
        }
        for (size_t i = 0; i < operation->n_steps; i++)
                if (!operation->steps[i].enter || !name_is_valid(operation->steps[i].name)) {
                        gw_error_set(err, "plugin-misbehaved", "driver %s: step %zu has no function or no proper name", driver->name, i + 1);
                        return -EINVAL;
                }
        return 0;
}

static int check_driver(const struct gw_driver *driver, struct gw_error *err) {
        bool offers_something = false;
        if (!name_is_valid(driver->name)) {
                gw_error_set(err, "plugin-misbehaved", "a driver's name must match [a-z0-9-]{1,32}");
                return -EINVAL;
        }
        for (int i = 0; i < GW_OPERATION_COUNT_; i++) {
                int r = check_operation(driver, &driver->operations[i], err);
                if (r < 0)
                        return r;
                offers_something |= driver->operations[i].n_steps > 0;
        }
        if (offers_something && (!driver->run_new || !driver->run_stop || !driver->run_free)) {
                gw_error_set(err, "plugin-misbehaved", "driver %s: run_new, run_stop and run_free are needed", driver->name);
                return -EINVAL;
        }
        return 0;
}

int driver_registry_add(struct driver_registry *registry, const struct gw_driver *driver, const struct gw_host *host, struct gw_error *err) {
        int r = check_driver(driver, err);
        if (r < 0)
                return r;
        if (find_entry(registry, driver->name)) {
                gw_error_set(err, "plugin-misbehaved", "a driver named %s is already registered", driver->name);
                return -EEXIST;
        }
        if (registry->n_entries == GW_DRIVERS_MAX) {
                gw_error_set(err, "plugin-misbehaved", "more than %d drivers", GW_DRIVERS_MAX);
                return -ENOSPC;
        }
        registry->entries[registry->n_entries++] = (struct entry){ .driver = driver, .host = host };
        return 0;
}

int driver_registry_add_format(struct driver_registry *registry, const struct gw_format *format, struct gw_error *err) {
        if (!format->name || !format->matches || !format->read || !format->release) {
                gw_error_set(err, "plugin-misbehaved", "a format must have a name, matches, read and release");
                return -EINVAL;
        }
        for (size_t i = 0; i < registry->n_formats; i++)
                if (strcmp(registry->formats[i]->name, format->name) == 0)
                        return 0;
        if (registry->n_formats == FORMATS_MAX) {
                gw_error_set(err, "plugin-misbehaved", "more than %d formats", FORMATS_MAX);
                return -ENOSPC;
        }
        registry->formats[registry->n_formats++] = format;
        return 0;
}

int driver_registry_add_errors(struct driver_registry *registry, const struct gw_error_info *errors) {
        if (!errors)
                return 0;
        if (registry->n_errors == ERROR_TABLES_MAX)
                return -ENOSPC;
        registry->errors[registry->n_errors++] = errors;
        return 0;
}

struct driver_registry_mark driver_registry_mark(const struct driver_registry *registry) {
        return (struct driver_registry_mark){ .n_drivers = registry->n_entries, .n_formats = registry->n_formats, .n_errors = registry->n_errors };
}

void driver_registry_take_back(struct driver_registry *registry, const struct driver_registry_mark *mark) {
        registry->n_entries = mark->n_drivers;
        registry->n_formats = mark->n_formats;
        registry->n_errors = mark->n_errors;
}

const struct gw_driver *driver_registry_find(const struct driver_registry *registry, const char *name) {
        const struct entry *entry = find_entry(registry, name);
        return entry ? entry->driver : NULL;
}

void *driver_registry_instance(const struct driver_registry *registry, const char *name) {
        const struct entry *entry = find_entry(registry, name);
        return entry && entry->started ? entry->instance : NULL;
}

bool driver_registry_is_started(const struct driver_registry *registry, const char *name) {
        const struct entry *entry = find_entry(registry, name);
        return entry && entry->started;
}

const struct gw_error *driver_registry_start_error(const struct driver_registry *registry, const char *name) {
        const struct entry *entry = find_entry(registry, name);
        return entry && gw_error_is_set(&entry->error) ? &entry->error : NULL;
}

const struct gw_host *driver_registry_host(const struct driver_registry *registry, const char *name) {
        const struct entry *entry = find_entry(registry, name);
        return entry ? entry->host : NULL;
}

void driver_registry_each(const struct driver_registry *registry, void (*found)(void *ctx, const struct gw_driver *driver), void *ctx) {
        for (size_t i = 0; i < registry->n_entries; i++)
                found(ctx, registry->entries[i].driver);
}

void driver_registry_start(struct driver_registry *registry, void (*failed)(void *ctx, const struct gw_driver *driver, const struct gw_error *err),
                           void *ctx) {
        for (size_t i = 0; i < registry->n_entries; i++) {
                struct entry *entry = &registry->entries[i];
                int r = entry->driver->start ? entry->driver->start(entry->host, &entry->instance, &entry->error) : 0;
                entry->started = r >= 0;
                if (r < 0 && !gw_error_is_set(&entry->error))
                        gw_error_set(&entry->error, "plugin-start-failed", "driver %s: %s", entry->driver->name, strerror(-r));
                if (r < 0)
                        failed(ctx, entry->driver, &entry->error);
        }
}

void driver_registry_stop(struct driver_registry *registry) {
        for (size_t i = registry->n_entries; i-- > 0;) {
                struct entry *entry = &registry->entries[i];
                if (entry->started && entry->driver->stop)
                        entry->driver->stop(entry->instance);
                entry->started = false;
                entry->instance = NULL;
        }
}

const struct gw_error_info *driver_registry_error(const struct driver_registry *registry, const char *name) {
        const struct gw_error_info *info = error_catalogue_find(name);
        for (size_t i = 0; !info && i < registry->n_errors; i++)
                for (const struct gw_error_info *row = registry->errors[i]; row->name; row++)
                        if (strcmp(row->name, name) == 0)
                                return row;
        return info;
}

enum gw_error_class driver_registry_error_class(const struct driver_registry *registry, const char *name) {
        const struct gw_error_info *info = driver_registry_error(registry, name);
        return info ? info->class_ : GW_ERROR_TERMINAL;
}

const struct gw_format *const *driver_registry_formats(const struct driver_registry *registry, size_t *ret_n) {
        *ret_n = registry->n_formats;
        return registry->formats;
}
