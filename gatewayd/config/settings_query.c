/* SPDX-License-Identifier: Apache-2.0 */
#include "config/settings.h"

#include <string.h>
#include <strings.h>

#include "base/str.h"

/* --- devices and plugins --- */

static const struct gw_setting *shared_table(const char *kind) {
        for (size_t i = 0; i < n_settings_sections; i++)
                if (strcmp(settings_sections[i].kind, kind) == 0)
                        return settings_sections[i].table;
        return NULL;
}

const struct settings_device *settings_device_find(const struct settings *settings, const char *name) {
        for (size_t i = 0; i < settings->n_devices; i++)
                if (strcmp(settings->devices[i].name, name) == 0)
                        return &settings->devices[i];
        return NULL;
}

const struct settings_plugin *settings_plugin_find(const struct settings *settings, const char *name) {
        for (size_t i = 0; i < settings->n_plugins; i++)
                if (strcmp(settings->plugins[i].name, name) == 0)
                        return &settings->plugins[i];
        return NULL;
}

bool settings_plugin_enabled(const struct settings *settings, const char *name) {
        const struct settings_plugin *plugin = settings_plugin_find(settings, name);

        return !plugin || plugin->enabled;
}

int settings_plugin_values(const struct settings *settings, const char *plugin, const struct gw_setting *table,
                           struct config_errors *errors, struct gw_settings **ret_values) {
        const struct settings_plugin *found = settings_plugin_find(settings, plugin);

        return setting_values_new(settings->file, found ? found->section : NULL, table, shared_table("plugin"), errors, ret_values);
}

int settings_device_values(const struct settings *settings, const struct settings_device *device, const struct gw_setting *table,
                           struct config_errors *errors, struct gw_settings **ret_values) {
        return setting_values_new(settings->file, device ? device->section : NULL, table, shared_table("device"), errors, ret_values);
}

void settings_check_names(const struct settings *settings, bool (*known_driver)(void *context, const char *name),
                          bool (*known_plugin)(void *context, const char *name), void *context, struct config_errors *errors) {
        for (size_t i = 0; i < settings->n_devices; i++) {
                const struct settings_device *device = &settings->devices[i];
                const struct ini_entry *entry = ini_entry_find(device->section, "driver");

                if (entry && !known_driver(context, device->driver))
                        config_errors_add(errors, settings->file, entry->line, device->section->title, "driver",
                                          "no plugin brings a driver \"%s\"", device->driver);
        }
        for (size_t i = 0; i < settings->n_plugins; i++) {
                const struct settings_plugin *plugin = &settings->plugins[i];

                if (plugin->enabled && !known_plugin(context, plugin->name))
                        config_errors_add(errors, settings->file, plugin->section->line, plugin->section->title, NULL,
                                          "there is no plugin of this name in %s", settings->gateway.plugin_dir);
        }
}

/* --- policy questions --- */

/* Scheme and host without regard to case, the path exactly. */
static bool is_below(const char *url, const char *prefix) {
        size_t length = strlen(prefix), authority = strlen("https://");

        authority += strcspn(prefix + authority, "/") + 1;
        return strlen(url) >= length && strncasecmp(url, prefix, authority) == 0 &&
               strncmp(url + authority, prefix + authority, length - authority) == 0;
}

/* A path that a server or curl may still rewrite is never given credentials. */
static bool is_plain_path(const char *url) {
        return !strstr(url, "/../") && !strstr(url, "/./") && !str_ends_with(url, "/..") && !strcasestr(url, "%2e") &&
               !strcasestr(url, "%2f") && !strchr(url, '\\');
}

const struct settings_source *settings_source_find(const struct settings *settings, const char *url) {
        const struct settings_source *found = NULL;

        for (size_t i = 0; i < settings->n_sources; i++) {
                const struct settings_source *source = &settings->sources[i];

                if (*source->prefix && is_below(url, source->prefix) && (!found || strlen(source->prefix) > strlen(found->prefix)))
                        found = source;
        }
        return found && is_plain_path(url) ? found : NULL;
}

bool settings_address_allowed(const struct settings *settings, const struct sockaddr *address) {
        if (cidr_is_public(address))
                return true;
        for (size_t i = 0; i < settings->artifacts.n_allow_ranges; i++)
                if (cidr_match(&settings->artifacts.allow_ranges[i], address))
                        return true;
        return cidr_is_loopback(address) ? settings->artifacts.allow_loopback : settings->artifacts.allow_private;
}

bool settings_auto_adopt(const struct settings *settings, const char *driver, bool driver_default) {
        const struct str_list *list = &settings->gateway.auto_adopt;

        if (str_list_contains(list, "default"))
                return driver_default;
        return strcmp(driver, "none") != 0 && str_list_contains(list, driver);
}

/* --- reload --- */

struct diff {
        void (*changed)(void *context, const char *section, const char *key, bool needs_restart);
        void *context;
        size_t n_restart;
};

static void diff_report(struct diff *diff, const char *kind, const char *title, const char *key) {
        bool needs_restart = !settings_is_live(kind, key);

        if (needs_restart)
                diff->n_restart++;
        if (diff->changed)
                diff->changed(diff->context, title, key, needs_restart);
}

/* The effective text: of the file, else of the table. */
static const char *effective(const struct ini_section *section, const char *key, const char *value) {
        const struct ini_entry *entry = section ? ini_entry_find(section, key) : NULL;

        return entry ? entry->value : value;
}

static void diff_plain(struct diff *diff, const struct settings_section_info *info, const struct ini_section *before,
                       const struct ini_section *after) {
        char title[64];

        str_format(title, sizeof(title), "[%s]", info->kind);
        for (const struct gw_setting *setting = info->table; setting->key; setting++)
                if (!str_equal(effective(before, setting->key, setting->value), effective(after, setting->key, setting->value)))
                        diff_report(diff, info->kind, title, setting->key);
}

/* Keys of other tables may stand in a named section, so what is written is compared. */
static void diff_named(struct diff *diff, const struct ini_section *before, const struct ini_section *after) {
        for (size_t i = 0; i < before->n_entries; i++)
                if (!str_equal(before->entries[i].value, effective(after, before->entries[i].key, NULL)))
                        diff_report(diff, before->kind, before->title, before->entries[i].key);
        for (size_t i = 0; i < after->n_entries; i++)
                if (!ini_entry_find(before, after->entries[i].key))
                        diff_report(diff, after->kind, after->title, after->entries[i].key);
}

static void diff_named_sections(struct diff *diff, const struct ini *before, const struct ini *after) {
        for (size_t i = 0; i < before->n_sections; i++) {
                const struct ini_section *section = &before->sections[i], *other;

                if (!section->name)
                        continue;
                other = ini_section_find(after, section->kind, section->name);
                if (other)
                        diff_named(diff, section, other);
                else
                        diff_report(diff, section->kind, section->title, "");
        }
        for (size_t i = 0; i < after->n_sections; i++) {
                const struct ini_section *section = &after->sections[i];

                if (section->name && !ini_section_find(before, section->kind, section->name))
                        diff_report(diff, section->kind, section->title, "");
        }
}

size_t settings_diff(const struct settings *before, const struct settings *after,
                     void (*changed)(void *context, const char *section, const char *key, bool needs_restart), void *context) {
        struct diff diff = {.changed = changed, .context = context};

        for (size_t i = 0; i < n_settings_sections; i++) {
                const struct settings_section_info *info = &settings_sections[i];

                if (!info->named)
                        diff_plain(&diff, info, ini_section_find(before->ini, info->kind, NULL),
                                   ini_section_find(after->ini, info->kind, NULL));
        }
        diff_named_sections(&diff, before->ini, after->ini);
        return diff.n_restart;
}
