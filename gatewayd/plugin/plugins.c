/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/plugins.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "plugin/internal.h"

#define PLUGINS_MAX 64

/* --- checks --- */

static int check_place(const char *path, const char *what, struct gw_error *err) {
        struct stat status;
        if (stat(path, &status) < 0) {
                gw_error_set(err, "plugin-not-found", "%s %s: %s", what, path, strerror(errno));
                return -errno;
        }
        if (status.st_uid != 0 && status.st_uid != geteuid()) {
                gw_error_set(err, "plugin-owner", "%s %s belongs to uid %u, not to root or to this daemon's user", what, path, status.st_uid);
                return -EPERM;
        }
        if (status.st_mode & (S_IWGRP | S_IWOTH)) {
                gw_error_set(err, "plugin-writable", "%s %s may be written by others (mode %04o)", what, path, status.st_mode & 07777);
                return -EPERM;
        }
        return 0;
}

static int check_folder_of(const char *path, struct gw_error *err) {
        char folder[4096];
        char *slash;
        int r = str_copy(folder, sizeof folder, path);
        if (r < 0)
                return r;
        slash = strrchr(folder, '/');
        if (!slash || slash == folder)
                return 0;
        *slash = '\0';
        return check_place(folder, "the folder", err);
}

/* A link is as safe as the place where it leads to. */
int plugin_file_check(const char *path, struct gw_error *err) {
        _cleanup_free_ char *target = realpath(path, NULL);
        int r;
        if (!target) {
                gw_error_set(err, "plugin-not-found", "the file %s: %s", path, strerror(errno));
                return -errno;
        }
        r = check_folder_of(path, err);
        if (r >= 0)
                r = check_folder_of(target, err);
        return r < 0 ? r : check_place(target, "the file", err);
}

static bool name_is_valid(const char *name) {
        size_t length = strlen(name);
        return length >= 1 && length <= 32 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

static int check_constant(const struct plugin *plugin, struct gw_error *err) {
        const struct gw_plugin *constant = plugin->constant;
        char why[200];
        if (constant->abi != GW_ABI) {
                gw_error_set(err, "plugin-abi", "it was built for ABI %u, this gatewayd has %u", constant->abi, GW_ABI);
                return -EPROTONOSUPPORT;
        }
        if (constant->size < sizeof *constant || !constant->name || !constant->version || !constant->load || !constant->unload) {
                gw_error_set(err, "plugin-abi", "its constant is not complete");
                return -EINVAL;
        }
        if (strcmp(constant->name, plugin->name) != 0) {
                gw_error_set(err, "plugin-name", "it calls itself %.32s, its file %s.so", constant->name, plugin->name);
                return -EINVAL;
        }
        if (!name_is_valid(constant->name)) {
                gw_error_set(err, "plugin-name", "a plugin's name must match [a-z0-9-]{1,32}");
                return -EINVAL;
        }
        if (setting_table_check(constant->settings, why, sizeof why) < 0) {
                gw_error_set(err, "plugin-configuration", "its table of settings: %s", why);
                return -EINVAL;
        }
        return 0;
}

/* --- loading one --- */

static int open_file(struct plugin *plugin, const char *path, struct gw_error *err) {
        int r = plugin_file_check(path, err);
        if (r < 0)
                return r;
        plugin->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (!plugin->handle) {
                gw_error_set(err, "plugin-load-failed", "%s", dlerror());
                return -ELIBACC;
        }
        plugin->constant = dlsym(plugin->handle, "gw_plugin");
        if (!plugin->constant) {
                gw_error_set(err, "plugin-symbol-missing", "%s exports no gw_plugin", path);
                return -ENOENT;
        }
        return check_constant(plugin, err);
}

static int call_load(struct plugin *plugin, struct gw_error *err) {
        struct driver_registry *registry = plugin->plugins->options.registry;
        struct driver_registry_mark before = driver_registry_mark(registry);
        int r;
        plugin->loading = true;
        r = plugin->constant->load(&plugin->host, &plugin->instance, err);
        plugin->loading = false;
        if (r >= 0) {
                r = driver_registry_add_errors(registry, plugin->constant->errors);
                if (r < 0)
                        plugin->constant->unload(plugin->instance);
        }
        if (r < 0)
                driver_registry_take_back(registry, &before);
        return r;
}

static int load(struct plugin *plugin, const char *path, struct config_errors *mistakes, struct gw_error *err) {
        struct config_errors own = CONFIG_ERRORS_INIT;
        int r = open_file(plugin, path, err);
        if (r < 0)
                return r;
        r = settings_plugin_values(plugin->plugins->options.settings, plugin->name, plugin->constant->settings, mistakes ? mistakes : &own, &plugin->values);
        config_errors_deinit(&own);
        if (r < 0)
                return r;
        host_init(plugin);
        return call_load(plugin, err);
}

static void close_plugin(struct plugin *plugin) {
        serial_ports_watch_free(plugin->watch);
        setting_values_free(plugin->values);
        if (plugin->handle)
                dlclose(plugin->handle);
        plugin->watch = NULL;
        plugin->values = NULL;
        plugin->handle = NULL;
        plugin->constant = NULL;
}

static int load_file(struct plugins *plugins, const char *file, struct config_errors *mistakes) {
        struct log_fields fields = { 0 };
        struct plugin *plugin = calloc(1, sizeof *plugin);
        char path[4096];
        int r;
        if (!plugin)
                return -ENOMEM;
        plugin->plugins = plugins;
        plugin->name = strndup(file, strlen(file) - strlen(".so"));
        plugins->items[plugins->n_items++] = plugin;
        if (!plugin->name)
                return -ENOMEM;
        if (!settings_plugin_enabled(plugins->options.settings, plugin->name))
                return 0;
        (void) str_format(path, sizeof path, "%s/%s", plugins->options.settings->gateway.plugin_dir, file);
        r = load(plugin, path, mistakes, &plugin->error);
        plugin->loaded = r >= 0;
        if (r >= 0)
                return 0;
        if (!gw_error_is_set(&plugin->error))
                gw_error_set(&plugin->error, "plugin-load-failed", "%s", strerror(-r));
        fields.error = plugin->error.name;
        log_error(&fields, "plugin %s is left out: %s", plugin->name, plugin->error.text);
        close_plugin(plugin);
        return r == -ENOMEM ? r : 0;
}

/* --- all of them --- */

static int is_plugin_file(const struct dirent *entry) {
        return entry->d_name[0] != '.' && strlen(entry->d_name) > 3 && str_ends_with(entry->d_name, ".so");
}

int plugins_load(const struct plugins_options *options, struct config_errors *mistakes, struct plugins **ret_plugins) {
        struct plugins *plugins = calloc(1, sizeof *plugins);
        struct dirent **files = NULL;
        int n_files, r = 0;
        if (!plugins)
                return -ENOMEM;
        plugins->options = *options;
        plugins->items = calloc(PLUGINS_MAX, sizeof *plugins->items);
        n_files = scandir(options->settings->gateway.plugin_dir, &files, is_plugin_file, alphasort);
        if (n_files < 0)
                log_error(&(struct log_fields){ .error = "plugin-not-found" }, "the plugin directory %s cannot be read: %s", options->settings->gateway.plugin_dir,
                          strerror(errno));
        for (int i = 0; i < n_files; i++) {
                if (r >= 0 && plugins->items && plugins->n_items < PLUGINS_MAX)
                        r = load_file(plugins, files[i]->d_name, mistakes);
                free(files[i]);
        }
        free(files);
        if (r < 0 || !plugins->items) {
                plugins_free(plugins);
                return -ENOMEM;
        }
        *ret_plugins = plugins;
        return 0;
}

void plugins_set_fleet(struct plugins *plugins, struct fleet *fleet) {
        plugins->fleet = fleet;
}

void plugins_free(struct plugins *plugins) {
        if (!plugins)
                return;
        for (size_t i = plugins->n_items; i-- > 0;) {
                struct plugin *plugin = plugins->items[i];
                if (plugin->loaded)
                        plugin->constant->unload(plugin->instance);
                close_plugin(plugin);
                free(plugin->name);
                free(plugin);
        }
        free(plugins->items);
        free(plugins);
}

void plugins_each(const struct plugins *plugins, void (*found)(void *ctx, const struct plugin_info *info), void *ctx) {
        for (size_t i = 0; i < plugins->n_items; i++) {
                const struct plugin *plugin = plugins->items[i];
                struct plugin_info info = { .name = plugin->name, .version = "", .summary = "", .loaded = plugin->loaded };
                if (plugin->loaded) {
                        info.version = plugin->constant->version;
                        info.summary = plugin->constant->summary ? plugin->constant->summary : "";
                }
                info.error = gw_error_is_set(&plugin->error) ? &plugin->error : NULL;
                found(ctx, &info);
        }
}

bool plugins_has(const struct plugins *plugins, const char *name) {
        for (size_t i = 0; i < plugins->n_items; i++)
                if (strcmp(plugins->items[i]->name, name) == 0)
                        return true;
        return false;
}

const char *plugins_of_driver(const struct plugins *plugins, const char *driver) {
        const struct gw_host *host = driver_registry_host(plugins->options.registry, driver);
        return host ? ((const struct plugin *) host->internal)->name : NULL;
}
