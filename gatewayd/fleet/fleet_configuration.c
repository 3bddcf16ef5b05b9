/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/fleet_internal.h"

#include <errno.h>
#include <stdlib.h>

/* What one [device NAME] section says, checked before anything is changed. */
struct section {
        const struct settings_device *settings;
        struct gw_settings *values;
        char id[STR_DEVICE_ID_SIZE];
};

struct sections {
        struct section *items;
        size_t n_items;
};

static void sections_deinit(struct sections *sections) {
        for (size_t i = 0; i < sections->n_items; i++)
                setting_values_free(sections->items[i].values);
        free(sections->items);
}

static int refuse(struct gw_error *err, const struct settings_device *device, const char *why) {
        gw_error_set(err, "config-invalid", "[device %s]: %s", device->name, why);
        return -EINVAL;
}

static int check_texts(const struct settings_device *device, struct gw_error *err) {
        if (!str_is_id(device->name))
                return refuse(err, device, "the name becomes the key of the device: 1 to 64 of A-Z a-z 0-9 _ . -");
        if (!str_is_driver_name(device->driver))
                return refuse(err, device, "driver: 1 to 32 of a-z 0-9 -");
        if (device->model[0] && !str_is_model(device->model))
                return refuse(err, device, "model: expected a model such as acme,sensor-r2");
        for (size_t i = 0; i < device->labels.n_items; i++)
                if (!str_is_id(device->labels.items[i]))
                        return refuse(err, device, "labels: 1 to 64 of A-Z a-z 0-9 _ . - each");
        return 0;
}

/* The keys of the driver; a driver that is not there (its plugin failed) leaves the device known and unused. */
static int read_values(struct fleet *fleet, const struct settings *settings, struct section *section, struct gw_error *err) {
        const struct gw_driver *driver = driver_registry_find(fleet->registry, section->settings->driver);
        _cleanup_config_errors_ struct config_errors errors = CONFIG_ERRORS_INIT;
        char text[256];
        int r;

        if (!driver)
                return 0;
        r = settings_device_values(settings, section->settings, driver->device_settings, &errors, &section->values);
        if (r < 0)
                return r;
        if (!config_errors_any(&errors))
                return 0;
        config_error_format(&errors.items[0], text, sizeof(text));
        gw_error_set(err, "config-invalid", "%s", text);
        return -EINVAL;
}

static int read_sections(struct fleet *fleet, const struct settings *settings, struct sections *sections, struct gw_error *err) {
        int r = 0;

        sections->items = calloc(settings->n_devices + 1, sizeof(*sections->items));
        if (!sections->items) {
                gw_error_set(err, "out-of-memory", "no memory for the [device] sections");
                return -ENOMEM;
        }
        for (size_t i = 0; r == 0 && i < settings->n_devices; i++) {
                struct section *section = &sections->items[sections->n_items++];

                section->settings = &settings->devices[i];
                r = check_texts(section->settings, err);
                if (r == 0)
                        r = read_values(fleet, settings, section, err);
                str_format(section->id, sizeof(section->id), "%s:%s", section->settings->driver, section->settings->name);
        }
        return r;
}

static bool names_device(const struct sections *sections, const char *id) {
        for (size_t i = 0; i < sections->n_items; i++)
                if (str_equal(sections->items[i].id, id))
                        return true;
        return false;
}

/* The device is what it would be without a section. */
static void unconfigure(struct fleet *fleet, struct gw_device *device) {
        bool changed;

        device->configured = false;
        device_text_set(&device->address_configured, NULL, &changed);
        device_text_set(&device->model_configured, NULL, &changed);
        str_list_deinit(&device->labels_configured);
        setting_values_free(device->driver_values);
        device->driver_values = NULL;
        fleet_settle_adoption(fleet, device);
        fleet_tell(fleet, device, FLEET_EVENT_CHANGED);
}

static void unconfigure_vanished(struct fleet *fleet, const struct sections *sections) {
        struct gw_device *device, *spare;

        LIST_FOREACH_SAFE(device, spare, &fleet->adopted, order) {
                if (device->configured && !names_device(sections, device->id))
                        unconfigure(fleet, device);
        }
}

static int configure(struct fleet *fleet, struct section *section, struct gw_error *err) {
        const struct settings_device *settings = section->settings;
        struct gw_device *device = fleet_find(fleet, section->id);
        bool changed = false;
        int r = device ? 0 : fleet_make(fleet, section->id, &device, err);

        if (r < 0)
                return r;
        changed |= !device->configured || !str_list_equal(&device->labels_configured, &settings->labels);
        device->configured = true;
        str_list_deinit(&device->labels_configured);
        r = str_list_copy(&device->labels_configured, &settings->labels);
        r = MIN(r, device_text_set(&device->address_configured, settings->address, &changed));
        r = MIN(r, device_text_set(&device->model_configured, settings->model, &changed));
        setting_values_free(device->driver_values);
        device->driver_values = TAKE_PTR(section->values);
        fleet_settle_adoption(fleet, device);
        if (changed)
                fleet_tell(fleet, device, FLEET_EVENT_CHANGED);
        if (r < 0)
                gw_error_set(err, "out-of-memory", "no memory for [device %s]", settings->name);
        return r;
}

int fleet_configure(struct fleet *fleet, const struct settings *settings, struct gw_error *err) {
        _cleanup_(sections_deinit) struct sections sections = {0};
        int r = read_sections(fleet, settings, &sections, err);

        if (r < 0)
                return r;
        unconfigure_vanished(fleet, &sections);
        for (size_t i = 0; r == 0 && i < sections.n_items; i++)
                r = configure(fleet, &sections.items[i], err);
        return r;
}
