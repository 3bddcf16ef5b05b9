/* SPDX-License-Identifier: Apache-2.0 */
#include <gatewayd/plugin.h>

/*
 * A plugin that does nothing, and one for everything that the loader must refuse: built once for each TEST_PLUGIN_KIND, as the file
 * TEST_PLUGIN_NAME.so. With TEST_PLUGIN_SYMBOL its constant is exported under another name than it should be.
 */
enum kind {
        KIND_GOOD,
        KIND_SECOND,  /* brings the driver and the format of the good one */
        KIND_FAILING, /* registers, then load fails */
        KIND_ABI,
        KIND_MISNAMED,
        KIND_INCOMPLETE,
        KIND_NOSYMBOL,
        KIND_BADTABLE,
        KIND_BADTABLE_DRIVER,
};

#define KIND TEST_PLUGIN_KIND
#define REGISTERED_NAME (KIND == KIND_SECOND ? "good" : TEST_PLUGIN_NAME)

static const struct gw_setting good_settings[] = {
        { .key = "depth", .type = GW_SETTING_INTEGER, .minimum = 1, .maximum = 10, .value = "3", .text = "A number." },
        { .key = NULL },
};
/* The default is outside its own bounds. */
static const struct gw_setting bad_settings[] = {
        { .key = "depth", .type = GW_SETTING_INTEGER, .minimum = 1, .maximum = 10, .value = "11", .text = "A number." },
        { .key = NULL },
};

static bool matches(const uint8_t *head, size_t head_size, int fd, uint64_t file_size) {
        (void) head;
        (void) head_size;
        (void) fd;
        (void) file_size;
        return false;
}

static int read_file(int fd, uint64_t file_size, const struct gw_format_options *options, struct gw_package *ret_package, struct gw_error *err) {
        (void) fd;
        (void) file_size;
        (void) options;
        (void) ret_package;
        (void) err;
        return -EINVAL;
}

static void release(struct gw_package *package, int fd) {
        (void) package;
        (void) fd;
}

static const struct gw_format format = { .name = REGISTERED_NAME, .matches = matches, .read = read_file, .release = release };

static const struct gw_driver driver = {
        .name = REGISTERED_NAME,
        .summary = "a driver that does nothing",
        .device_settings = KIND == KIND_BADTABLE_DRIVER ? bad_settings : good_settings,
};

static const struct gw_error_info errors[] = {
        { .name = TEST_PLUGIN_NAME "-error", .class_ = GW_ERROR_RETRY, .meaning = "An error.", .advice = "Nothing to do." },
        { .name = NULL },
};

/* The configuration says how deep, so that the test knows that it was handed over. */
static int load(const struct gw_host *host, void **ret_plugin, struct gw_error *err) {
        int r = host->registry->format(host, &format, err);
        if (r >= 0)
                r = host->registry->driver(host, &driver, err);
        if (r >= 0 && KIND == KIND_FAILING) {
                gw_error_set(err, "port-permission", "no luck");
                r = -EACCES;
        }
        if (r < 0)
                return r;
        host->log->write(host, NULL, GW_LOG_INFO, "depth is %d", (int) host->settings_ops->get_number(host->settings, "depth"));
        *ret_plugin = (void *) host;
        return 0;
}

static void unload(void *plugin) {
        const struct gw_host *host = plugin;
        host->log->write(host, NULL, GW_LOG_INFO, "unloaded");
}

#ifdef TEST_PLUGIN_SYMBOL
__attribute__((visibility("default"))) const struct gw_plugin TEST_PLUGIN_SYMBOL;
__attribute__((visibility("default"))) const struct gw_plugin TEST_PLUGIN_SYMBOL = {
#else
GW_PLUGIN_EXPORT(test) = {
#endif
        .abi = GW_ABI + (KIND == KIND_ABI),
        .size = KIND == KIND_INCOMPLETE ? 16 : sizeof(struct gw_plugin),
        .name = KIND == KIND_MISNAMED ? "somebody-else" : TEST_PLUGIN_NAME,
        .version = "1.0.0",
        .summary = "nothing",
        .settings = KIND == KIND_BADTABLE ? bad_settings : good_settings,
        .errors = errors,
        .load = load,
        .unload = unload,
};
