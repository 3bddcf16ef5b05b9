/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/fleet_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/limits.h"
#include "document/reader.h"
#include "fleet/device_list.h"

/* --- one statement --- */

static int refuse(struct gw_error *err, const char *member, const struct text_rule *rule) {
        gw_error_set(err, "params-invalid", "%s: expected %s", member, rule->expected);
        return -EINVAL;
}

/* NULL and "" are always right: unchanged and taken away. */
static bool is_right(const char *text, const struct text_rule *rule) {
        return !text || !*text || rule->is(text);
}

static int check_statement(const struct fleet_statement *statement, struct gw_error *err) {
        if (!is_right(statement->name, &rule_name))
                return refuse(err, "name", &rule_name);
        if (!is_right(statement->model, &rule_model))
                return refuse(err, "model", &rule_model);
        if (!is_right(statement->address, &rule_address))
                return refuse(err, "address", &rule_address);
        if (!statement->labels)
                return 0;
        if (statement->labels->n_items > DEVICE_LABELS_MAX) {
                gw_error_set(err, "params-invalid", "labels: at most %d", DEVICE_LABELS_MAX);
                return -EINVAL;
        }
        for (size_t i = 0; i < statement->labels->n_items; i++)
                if (!rule_id.is(statement->labels->items[i]))
                        return refuse(err, "labels", &rule_id);
        return 0;
}

static int set_labels(struct gw_device *device, const struct str_list *labels, bool *changed) {
        _cleanup_str_list_ struct str_list copy = STR_LIST_INIT, old = STR_LIST_INIT;

        if (!labels || str_list_equal(labels, &device->labels_adopted))
                return 0;
        if (str_list_copy(&copy, labels) < 0)
                return -ENOMEM;
        old = device->labels_adopted;
        device->labels_adopted = copy;
        copy = STR_LIST_INIT;
        *changed = true;
        return 0;
}

static int set_text(char **dst, const char *text, bool *changed) {
        return text ? device_text_set(dst, text, changed) : 0;
}

static int apply(struct gw_device *device, const struct fleet_statement *statement, bool *changed) {
        int r = set_text(&device->name_adopted, statement->name, changed);

        if (r == 0)
                r = set_text(&device->model_adopted, statement->model, changed);
        if (r == 0)
                r = set_text(&device->address_adopted, statement->address, changed);
        if (r == 0)
                r = set_labels(device, statement->labels, changed);
        return r;
}

/* Written and told where something changed. */
static int state(struct fleet *fleet, struct gw_device *device, const struct fleet_statement *statement, bool changed,
                 struct gw_error *err) {
        int r = apply(device, statement, &changed);

        if (r == 0 && changed)
                r = fleet_write_now(fleet, device);
        if (changed)
                fleet_tell(fleet, device, FLEET_EVENT_CHANGED);
        if (r < 0)
                gw_error_set(err, r == -ENOMEM ? "out-of-memory" : "store-failed", "%s: %s", device->id, strerror(-r));
        return r;
}

static const struct fleet_statement no_statement = {0};

int fleet_adopt(struct fleet *fleet, const char *id, const struct fleet_statement *statement, struct gw_device **ret_device,
                struct gw_error *err) {
        struct gw_device *device = fleet_find(fleet, id);
        bool was_stated;
        int r;

        statement = statement ? statement : &no_statement;
        r = check_statement(statement, err);
        if (r < 0)
                return r;
        if (!device) {
                char driver[STR_DRIVER_MAX + 1] = "";

                if (!str_is_device_id(id))
                        return refuse(err, "id", &rule_device_id);
                str_copy_n(driver, sizeof(driver), id, strcspn(id, ":"));
                if (!driver_registry_find(fleet->registry, driver)) {
                        gw_error_set(err, "driver-unavailable", "there is no driver \"%s\" for %s", driver, id);
                        return -ENOENT;
                }
                r = fleet_make(fleet, id, &device, err);
                if (r < 0)
                        return r;
        }
        if (device_is_private(device)) {
                gw_error_set(err, "private-address", "%s is an address that changes by itself", device->id);
                return -EPERM;
        }
        was_stated = device->adoption_stated;
        device->adoption_stated = true;
        fleet_settle_adoption(fleet, device);
        r = state(fleet, device, statement, !was_stated, err);
        if (r == 0 && ret_device)
                *ret_device = device;
        return r;
}

int fleet_set(struct fleet *fleet, const char *id, const struct fleet_statement *statement, struct gw_error *err) {
        struct gw_device *device = fleet_find(fleet, id);
        int r = check_statement(statement, err);

        if (r < 0)
                return r;
        if (!device) {
                gw_error_set(err, "device-unknown", "there is no device %s", id);
                return -ENOENT;
        }
        return state(fleet, device, statement, false, err);
}

int fleet_forget(struct fleet *fleet, const char *id, struct gw_error *err) {
        struct gw_device *device = fleet_find(fleet, id);

        if (!device) {
                gw_error_set(err, "device-unknown", "there is no device %s", id);
                return -ENOENT;
        }
        if (device->configured) {
                gw_error_set(err, "device-configured", "%s has a [device] section in the configuration", id);
                return -EPERM;
        }
        if (device->n_holds > 0 || device->work) {
                gw_error_set(err, "device-in-use", "a job or an inspection of %s is not over", id);
                return -EBUSY;
        }
        fleet_drop(fleet, device);
        return 0;
}

/* --- lists --- */

/* What one line would do. */
enum line_effect { LINE_ADOPTS, LINE_CHANGES, LINE_NOTHING };

static bool states_other(const char *stated, const char *known) {
        return stated && !str_equal(stated, known);
}

static enum line_effect effect_of(struct fleet *fleet, const struct device_list_entry *entry) {
        const struct gw_device *device = fleet_find(fleet, entry->id);

        if (!device || !device->adoption_stated)
                return LINE_ADOPTS;
        if (states_other(entry->name, device->name_adopted) || states_other(entry->model, device->model_adopted) ||
            states_other(entry->address, device->address_adopted))
                return LINE_CHANGES;
        if (entry->labels_stated && !str_list_equal(&entry->labels, &device->labels_adopted))
                return LINE_CHANGES;
        return LINE_NOTHING;
}

/* Where a mistake goes; one kind of errors for commands, another for files. */
struct mistakes {
        struct json_errors *json;
        struct config_errors *config;
        const char *file;
        size_t n;
};

static void note_mistake(void *ctx, unsigned line, unsigned column, const char *text) {
        struct mistakes *mistakes = ctx;
        char path[64];

        mistakes->n++;
        if (column > 0)
                str_format(path, sizeof(path), "line %u, column %u", line, column);
        else
                str_format(path, sizeof(path), "line %u", line);
        json_errors_add(mistakes->json, path, "%s", text);
        if (!mistakes->config)
                return;
        if (column > 0)
                config_errors_add(mistakes->config, mistakes->file, line, NULL, NULL, "column %u: %s", column, text);
        else
                config_errors_add(mistakes->config, mistakes->file, line, NULL, NULL, "%s", text);
}

/* What the form alone does not tell: drivers, and room for all. */
static void check_list(struct fleet *fleet, const struct device_list *list, struct mistakes *mistakes) {
        size_t n_new = 0, limit = (size_t) fleet->settings->limits.devices;
        char driver[STR_DRIVER_MAX + 1], text[128];

        for (size_t i = 0; i < list->n_entries; i++) {
                const struct device_list_entry *entry = &list->entries[i];

                if (!entry->id[0])
                        continue;
                str_copy_n(driver, sizeof(driver), entry->id, strcspn(entry->id, ":"));
                if (!driver_registry_find(fleet->registry, driver)) {
                        str_format(text, sizeof(text), "there is no driver \"%s\"", driver);
                        note_mistake(mistakes, entry->line, entry->id_column, text);
                }
                n_new += !fleet_find(fleet, entry->id);
                if (fleet->n_adopted + n_new == limit + 1) {
                        str_format(text, sizeof(text), "with this line more than %zu devices are adopted", limit);
                        note_mistake(mistakes, entry->line, 0, text);
                }
        }
}

static void count(enum line_effect effect, struct fleet_import *counts) {
        switch (effect) {
        case LINE_ADOPTS:
                counts->n_adopted++;
                return;
        case LINE_CHANGES:
                counts->n_changed++;
                return;
        case LINE_NOTHING:
                counts->n_unchanged++;
                return;
        }
}

static int take_line(struct fleet *fleet, const struct device_list_entry *entry) {
        const struct fleet_statement statement = {
                .name = entry->name,
                .model = entry->model,
                .address = entry->address,
                .labels = entry->labels_stated ? &entry->labels : NULL,
        };

        return fleet_adopt(fleet, entry->id, &statement, NULL, NULL);
}

static int import(struct fleet *fleet, const struct fleet_import_source *source, struct fleet_import *ret_import,
                  struct mistakes *mistakes) {
        _cleanup_(device_list_freep) struct device_list *list = NULL;
        struct fleet_import counts = {0};
        int r = device_list_parse(source->text, source->size, note_mistake, mistakes, &list);

        if (r < 0)
                return r;
        check_list(fleet, list, mistakes);
        if (mistakes->n > 0)
                return -EINVAL;
        for (size_t i = 0; r == 0 && i < list->n_entries; i++) {
                enum line_effect effect = effect_of(fleet, &list->entries[i]);

                count(effect, &counts);
                if (!source->dry_run && effect != LINE_NOTHING)
                        r = take_line(fleet, &list->entries[i]);
        }
        if (r == 0 && ret_import)
                *ret_import = counts;
        return r;
}

int fleet_import(struct fleet *fleet, const struct fleet_import_source *source, struct fleet_import *ret_import,
                 struct json_errors *errors) {
        struct mistakes mistakes = {.json = errors};

        return import(fleet, source, ret_import, &mistakes);
}

/* The whole file; it is small and local. */
static int read_file(const char *path, char **ret_text, size_t *ret_size) {
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        _cleanup_free_ char *text = NULL;
        struct stat status;
        size_t size = 0;
        ssize_t n;

        if (fd < 0 || fstat(fd, &status) < 0)
                return -errno;
        if (!S_ISREG(status.st_mode))
                return -EINVAL;
        if (status.st_size > DEVICE_IMPORT_FILE_MAX)
                return -EFBIG;
        text = malloc((size_t) status.st_size + 1);
        if (!text)
                return -ENOMEM;
        while (size < (size_t) status.st_size && (n = read(fd, text + size, (size_t) status.st_size - size)) != 0) {
                if (n < 0 && errno != EINTR)
                        return -errno;
                size += n > 0 ? (size_t) n : 0;
        }
        *ret_text = TAKE_PTR(text);
        *ret_size = size;
        return 0;
}

int fleet_read_adoption_list(struct fleet *fleet, struct config_errors *errors) {
        const char *path = fleet->settings->gateway.adoption_list;
        struct mistakes mistakes = {.config = errors, .file = path};
        _cleanup_free_ char *text = NULL;
        size_t size = 0;
        int r;

        if (!path || !*path)
                return 0;
        r = read_file(path, &text, &size);
        if (r < 0) {
                config_errors_add(errors, path, 0, NULL, NULL, "cannot be read: %s", strerror(-r));
                return -EINVAL;
        }
        return import(fleet, &(struct fleet_import_source){.text = text, .size = size}, NULL, &mistakes);
}
