/* SPDX-License-Identifier: Apache-2.0 */
#include "config/settings.h"

#include <string.h>
#include <sys/un.h>

#include "base/limits.h"
#include "base/str.h"
#include "base/time_zone.h"

/* What the parts of a load share. error: the first -ENOMEM, all later calls do nothing. */
struct loader {
        struct settings *settings;
        struct config_errors *errors;
        int error;
};

/* --- sections of the file against the tables --- */

static const struct settings_section_info *section_info(const char *kind) {
        for (size_t i = 0; i < n_settings_sections; i++)
                if (strcmp(settings_sections[i].kind, kind) == 0)
                        return &settings_sections[i];
        return NULL;
}

static const char *nearest_kind(const char *kind) {
        size_t best = MAX(strlen(kind) / 3, (size_t) 1) + 1;
        const char *found = NULL;

        for (size_t i = 0; i < n_settings_sections; i++) {
                size_t distance = str_distance(kind, settings_sections[i].kind);

                if (distance < best) {
                        best = distance;
                        found = settings_sections[i].kind;
                }
        }
        return found;
}

static void check_section(struct loader *loader, const struct ini_section *section) {
        const struct settings_section_info *info = section_info(section->kind);
        const char *file = loader->settings->ini->file;

        if (!info) {
                const char *meant = nearest_kind(section->kind);

                config_errors_add(loader->errors, file, section->line, section->title, NULL, "unknown section%s%s%s",
                                  meant ? ", did you mean [" : "", meant ? meant : "", meant ? "]?" : "");
        } else if (info->named && !section->name) {
                config_errors_add(loader->errors, file, section->line, section->title, NULL, "needs a name: [%s NAME]", info->kind);
        } else if (!info->named && section->name) {
                config_errors_add(loader->errors, file, section->line, section->title, NULL, "takes no name: [%s]", info->kind);
        }
}

/* One section of the file: its checked values, and its title for messages. */
struct place {
        const struct gw_settings *values;
        const char *title;
        unsigned line; /* of the section, for keys that are missing */
};

/* section NULL: all defaults. shared as in setting_values_new(). The values stay with the settings. */
static int section_values(struct loader *loader, const char *kind, const struct ini_section *section, const struct gw_setting *shared,
                          struct place *ret_place) {
        struct settings *settings = loader->settings;
        struct gw_settings *values, **grown;
        int r;

        if (loader->error < 0)
                return loader->error;
        grown = reallocarray(settings->values, settings->n_values + 1, sizeof(*grown));
        if (!grown)
                return loader->error = -ENOMEM;
        settings->values = grown;
        r = setting_values_new(settings->ini->file, section, section_info(kind)->table, shared, loader->errors, &values);
        if (r < 0)
                return loader->error = r;
        grown[settings->n_values++] = values;
        *ret_place = (struct place){.values = values, .title = section ? section->title : "", .line = section ? section->line : 0};
        return 0;
}

static const char *text_or_empty(const struct place *place, const char *key) {
        const char *text = setting_text(place->values, key);

        return text ? text : "";
}

__attribute__((format(printf, 4, 5))) static void complain(struct loader *loader, const struct place *place, const char *key,
                                                           const char *format, ...) {
        unsigned line = setting_line(place->values, key);
        char text[512];
        va_list args;

        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        config_errors_add(loader->errors, loader->settings->ini->file, line ? line : place->line, place->title, key, "%s", text);
}

/* What each word of a list must be. */
struct word_rule {
        bool (*is_good)(const char *word);
        const char *expected;
};

static bool is_any(const char *word) {
        return *word != '\0';
}

static bool is_absolute_path(const char *word) {
        return *word == '/';
}

static const struct word_rule any_rule = {is_any, "a word"};
static const struct word_rule path_rule = {is_absolute_path, "an absolute path"};
static const struct word_rule group_rule = {str_is_gateway_id, "1 to 63 characters of a-z 0-9 -"};
static const struct word_rule driver_rule = {str_is_driver_name, "the name of a driver, default or none"};
static const struct word_rule label_rule = {str_is_id, "1 to 64 characters of A-Z a-z 0-9 _ . -"};

static void read_list(struct loader *loader, const struct place *place, const char *key, const struct word_rule *rule,
                      struct str_list *list) {
        if (setting_list_split(text_or_empty(place, key), list) == -ENOMEM)
                loader->error = -ENOMEM;
        for (size_t i = 0; i < list->n_items; i++)
                if (!rule->is_good(list->items[i]))
                        complain(loader, place, key, "\"%s\" is not %s", list->items[i], rule->expected);
}

/* --- what several sections share --- */

/* "" also for a key that the section's table does not have. */
static const char *text_if_known(const struct place *place, const char *key) {
        return setting_has_key(place->values, key) ? text_or_empty(place, key) : "";
}

static void read_credentials(struct loader *loader, const struct place *place, struct settings_credentials *credentials) {
        *credentials = (struct settings_credentials){
                .user = text_if_known(place, "user"),
                .password_file = text_if_known(place, "password_file"),
                .bearer_file = text_if_known(place, "bearer_file"),
                .client_cert = text_if_known(place, "client_cert"),
                .client_key = text_if_known(place, "client_key"),
                .ca_file = text_if_known(place, "ca_file"),
        };
        if (!*credentials->user != !*credentials->password_file)
                complain(loader, place, *credentials->user ? "user" : "password_file", "user and password_file belong together");
        if (*credentials->user && *credentials->bearer_file)
                complain(loader, place, "bearer_file", "either this or user and password_file");
        if (!*credentials->client_cert != !*credentials->client_key)
                complain(loader, place, *credentials->client_cert ? "client_cert" : "client_key",
                         "client_cert and client_key belong together");
}

/* https, a host, nothing that could be mistaken. stop: characters that may not be in it. */
static bool is_https(const char *url, const char *stop) {
        const char *host = url + strlen("https://");

        return str_starts_with(url, "https://") && strcspn(host, "/") > 0 && strcspn(host, stop) == strlen(host);
}

static const char *read_url(struct loader *loader, const struct place *place, const char *key, bool with_query) {
        const char *url = text_or_empty(place, key);

        if (!*url || is_https(url, with_query ? "@# \t\\" : "@?# \t\\"))
                return url;
        complain(loader, place, key, "expected https://host[:port]/path without user%s", with_query ? "" : " and query");
        return "";
}

/* --- the plain sections --- */

static void check_gateway(struct loader *loader, const struct place *place) {
        const struct settings *settings = loader->settings;
        const struct str_list *auto_adopt = &settings->gateway.auto_adopt;
        const size_t longest = sizeof(((struct sockaddr_un *) 0)->sun_path) - 1;

        if (*settings->gateway.id && !str_is_gateway_id(settings->gateway.id))
                complain(loader, place, "id", "expected 1 to %d characters of a-z 0-9 -", STR_GATEWAY_ID_MAX);
        if (strlen(settings->gateway.control_socket) > longest)
                complain(loader, place, "control_socket", "longer than the %zu bytes that a socket's path may have", longest);
        if (auto_adopt->n_items > 1 && (str_list_contains(auto_adopt, "default") || str_list_contains(auto_adopt, "none")))
                complain(loader, place, "auto_adopt", "\"default\" and \"none\" stand alone");
}

static void load_gateway(struct loader *loader, const struct place *place) {
        struct settings *settings = loader->settings;

        settings->gateway.id = text_or_empty(place, "id");
        settings->gateway.state_dir = text_or_empty(place, "state_dir");
        settings->gateway.control_socket = text_or_empty(place, "control_socket");
        settings->gateway.control_group = text_or_empty(place, "control_group");
        settings->gateway.adoption_list = text_or_empty(place, "adoption_list");
        settings->gateway.plugin_dir = text_or_empty(place, "plugin_dir");
        read_list(loader, place, "groups", &group_rule, &settings->gateway.groups);
        read_list(loader, place, "auto_adopt", &driver_rule, &settings->gateway.auto_adopt);
        check_gateway(loader, place);
}

static void load_log(struct loader *loader, const struct place *place) {
        enum log_level level = LOG_LEVEL_INFO;

        log_level_parse(text_or_empty(place, "level"), &level);
        loader->settings->log.level = level;
}

static void add_range(struct loader *loader, const struct place *place, const char *word) {
        struct settings *settings = loader->settings;
        struct cidr range, *ranges;

        if (cidr_parse(word, &range) < 0) {
                complain(loader, place, "allow_private", "\"%s\" is none of loopback, private, an address or a range such as 10.1.0.0/16",
                         word);
                return;
        }
        ranges = reallocarray(settings->artifacts.allow_ranges, settings->artifacts.n_allow_ranges + 1, sizeof(*ranges));
        if (!ranges) {
                loader->error = -ENOMEM;
                return;
        }
        settings->artifacts.allow_ranges = ranges;
        ranges[settings->artifacts.n_allow_ranges++] = range;
}

static void load_allow_private(struct loader *loader, const struct place *place) {
        _cleanup_str_list_ struct str_list words = STR_LIST_INIT;

        read_list(loader, place, "allow_private", &any_rule, &words);
        for (size_t i = 0; i < words.n_items; i++) {
                if (strcmp(words.items[i], "loopback") == 0)
                        loader->settings->artifacts.allow_loopback = true;
                else if (strcmp(words.items[i], "private") == 0)
                        loader->settings->artifacts.allow_private = true;
                else
                        add_range(loader, place, words.items[i]);
        }
}

static void load_artifacts(struct loader *loader, const struct place *place) {
        struct settings *settings = loader->settings;

        settings->artifacts.quota_bytes = (uint64_t) setting_number(place->values, "quota");
        settings->artifacts.reserve_bytes = (uint64_t) setting_number(place->values, "reserve");
        settings->artifacts.max_size_bytes = (uint64_t) setting_number(place->values, "max_size");
        settings->artifacts.rate_limit_bytes = (uint64_t) setting_number(place->values, "rate_limit");
        settings->artifacts.connect_timeout_ms = setting_number(place->values, "connect_timeout");
        settings->artifacts.stall_timeout_ms = setting_number(place->values, "stall_timeout");
        if (settings->artifacts.max_size_bytes > settings->artifacts.quota_bytes)
                complain(loader, place, setting_is_set(place->values, "max_size") ? "max_size" : "quota",
                         "max_size (%s) is above quota (%s): such a file could never be kept", setting_text(place->values, "max_size"),
                         setting_text(place->values, "quota"));
        load_allow_private(loader, place);
}

static void load_trust(struct loader *loader, const struct place *place) {
        loader->settings->trust.keys_dir = text_or_empty(place, "keys_dir");
        loader->settings->trust.ca_file = text_or_empty(place, "ca_file");
        loader->settings->trust.certificate_warning_ms = setting_number(place->values, "certificate_warning");
}

static void load_https(struct loader *loader, const struct place *place) {
        struct settings *settings = loader->settings;

        settings->https.url = read_url(loader, place, "url", false);
        settings->https.events_url = read_url(loader, place, "events_url", true);
        settings->https.poll_interval_ms = setting_number(place->values, "poll_interval");
        read_credentials(loader, place, &settings->https.credentials);
}

static bool is_notice(const char *word) {
        static const char *const words[] = {"paused", "completed", "canceled", "superseded", "expired", "job-failed"};

        for (size_t i = 0; i < ARRAY_SIZE(words); i++)
                if (strcmp(words[i], word) == 0)
                        return true;
        return false;
}

static void load_notify(struct loader *loader, const struct place *place) {
        static const struct word_rule rule = {is_notice, "one of paused, completed, canceled, superseded, expired, job-failed"};
        struct settings *settings = loader->settings;

        read_list(loader, place, "on", &rule, &settings->notify.on);
        settings->notify.command = text_or_empty(place, "command");
        settings->notify.webhook = read_url(loader, place, "webhook", true);
        settings->notify.timeout_ms = setting_number(place->values, "timeout");
        read_credentials(loader, place, &settings->notify.credentials);
}

static void check_time_zone(struct loader *loader, const struct place *place, const char *name) {
        _cleanup_time_zones_ struct time_zones *zones = time_zones_new(TIME_ZONE_DIRECTORY);
        const struct time_zone *zone;
        int r = zones ? time_zones_get(zones, name, &zone) : -ENOMEM;

        if (r == -ENOMEM)
                loader->error = r;
        else if (r < 0)
                complain(loader, place, "maintenance_windows", "there is no time zone %s in " TIME_ZONE_DIRECTORY " (package tzdata)",
                         name);
}

static void load_windows(struct loader *loader, const struct place *place) {
        struct settings *settings = loader->settings;
        char why[128];
        int r = time_windows_parse(text_or_empty(place, "maintenance_windows"), &settings->policy.maintenance_windows,
                                   &settings->policy.n_maintenance_windows, why, sizeof(why));

        if (r == -ENOMEM)
                loader->error = r;
        else if (r < 0)
                complain(loader, place, "maintenance_windows", "%s", why);
        for (size_t i = 0; i < settings->policy.n_maintenance_windows; i++)
                check_time_zone(loader, place, settings->policy.maintenance_windows[i].timezone);
}

/* A host is looked at by loop/mqtt.h when it connects; here only what leads nowhere. */
static bool is_broker(const char *url) {
        static const char *const local[] = {"mqtt://localhost", "mqtt://127.", "mqtt://[::1]"};
        const char *host = strstr(url, "://");
        bool is_safe = str_starts_with(url, "mqtts://");

        for (size_t i = 0; i < ARRAY_SIZE(local); i++)
                is_safe = is_safe || str_starts_with(url, local[i]);
        return is_safe && host[3] && !strpbrk(host + 3, "@ ?#\t\\");
}

static void load_mqtt(struct loader *loader, const struct place *place) {
        struct settings *settings = loader->settings;
        static const char root_characters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-/";
        const char *root = text_or_empty(place, "root");

        settings->mqtt.url = text_or_empty(place, "url");
        if (settings->mqtt.url[0] && !is_broker(settings->mqtt.url))
                complain(loader, place, "url", "expected mqtts://host[:port]; mqtt:// is for a broker at localhost");
        settings->mqtt.root = root;
        if (strlen(root) == 0 || strlen(root) > STR_ID_MAX || root[0] == '/' || str_ends_with(root, "/") || strspn(root, root_characters) != strlen(root))
                complain(loader, place, "root", "expected 1 to 64 of A-Z a-z 0-9 _ . - with / between levels");
        settings->mqtt.keepalive_ms = setting_number(place->values, "keepalive");
        settings->mqtt.session_expiry_ms = setting_number(place->values, "session_expiry");
        settings->mqtt.progress_interval_ms = setting_number(place->values, "progress_interval");
        read_credentials(loader, place, &settings->mqtt.credentials);
        loader->settings->mqtt.unsigned_stop = setting_bool(place->values, "unsigned_stop");
}

static void load_policy(struct loader *loader, const struct place *place) {
        struct settings *settings = loader->settings;

        settings->policy.mode = text_or_empty(place, "mode");
        settings->policy.concurrency = setting_number(place->values, "concurrency");
        settings->policy.attempts = setting_number(place->values, "attempts");
        settings->policy.deadline_ms = setting_number(place->values, "deadline");
        settings->policy.trial_ms = setting_number(place->values, "trial");
        settings->policy.trial_checks = setting_number(place->values, "trial_checks");
        load_windows(loader, place);
}

static void load_limits(struct loader *loader, const struct place *place) {
        struct settings *settings = loader->settings;

        settings->limits.jobs = setting_number(place->values, "jobs");
        settings->limits.devices = setting_number(place->values, "devices");
        settings->limits.events = setting_number(place->values, "events");
        settings->limits.outbox = setting_number(place->values, "outbox");
        settings->limits.audit_rows = setting_number(place->values, "audit_rows");
        settings->limits.audit_age_ms = setting_number(place->values, "audit_age");
}

static void load_serial(struct loader *loader, const struct place *place) {
        struct settings *settings = loader->settings;

        settings->serial.sysfs_root = text_or_empty(place, "sysfs_root");
        read_list(loader, place, "ports", &path_rule, &settings->serial.ports);
}

/* all, hci0, 00:00:5E:00:53:01 */
static bool is_adapter(const char *word) {
        if (str_starts_with(word, "hci"))
                return word[3] && strspn(word + 3, "0123456789") == strlen(word + 3);
        return str_equal(word, "all") || (strlen(word) == 17 && strspn(word, "0123456789abcdefABCDEF:") == 17);
}

static void load_ble(struct loader *loader, const struct place *place) {
        static const struct word_rule rule = {is_adapter, "`all`, a name such as hci0 or an address"};
        struct settings *settings = loader->settings;

        read_list(loader, place, "adapters", &rule, &settings->ble.adapters);
        settings->ble.sessions = setting_number(place->values, "sessions");
        settings->ble.attempts = setting_number(place->values, "attempts");
        settings->ble.power = setting_bool(place->values, "power");
        settings->ble.pairing = text_or_empty(place, "pairing");
        settings->ble.passkey_file = text_or_empty(place, "passkey_file");
        if (str_equal(settings->ble.pairing, "passkey") && !settings->ble.passkey_file[0])
                complain(loader, place, "pairing", "passkey needs passkey_file");
}

static void load_mcuboot(struct loader *loader, const struct place *place) {
        struct settings *settings = loader->settings;

        settings->mcuboot.require_signature = setting_bool(place->values, "require_signature");
        read_list(loader, place, "public_keys", &path_rule, &settings->mcuboot.public_keys);
        if (settings->mcuboot.require_signature && settings->mcuboot.public_keys.n_items == 0)
                complain(loader, place, "require_signature", "needs public_keys: without one every image would be refused");
}

static void load_plain_sections(struct loader *loader) {
        static const struct {
                const char *kind;
                void (*load)(struct loader *loader, const struct place *place);
        } sections[] = {
                {"gateway", load_gateway}, {"log", load_log},       {"artifacts", load_artifacts}, {"trust", load_trust},
                {"https", load_https},     {"notify", load_notify}, {"mqtt", load_mqtt},           {"policy", load_policy},
                {"limits", load_limits},   {"serial", load_serial}, {"mcuboot", load_mcuboot},
                {"ble", load_ble},
        };

        for (size_t i = 0; i < ARRAY_SIZE(sections); i++) {
                const struct ini_section *section = ini_section_find(loader->settings->ini, sections[i].kind, NULL);
                struct place place;

                if (section_values(loader, sections[i].kind, section, NULL, &place) == 0)
                        sections[i].load(loader, &place);
        }
}

/* --- sections with a name --- */

static bool is_good_prefix(const char *prefix) {
        /* The slash behind the host keeps https://fw.example from covering https://fw.example.evil. */
        return is_https(prefix, "@?# \t\\") && str_ends_with(prefix, "/") && !strstr(prefix, "/../") && !strstr(prefix, "/./");
}

static void check_source(struct loader *loader, const struct place *place, struct settings_source *source) {
        if (!*source->prefix) {
                complain(loader, place, "prefix", "must be given");
        } else if (!is_good_prefix(source->prefix)) {
                complain(loader, place, "prefix", "expected https://host[:port]/path/ with a slash at the end, without user and query");
                source->prefix = ""; /* covers nothing */
        }
}

/* One more element, zeroed, at the end of an array; NULL and loader->error without memory. */
static void *grow(struct loader *loader, void *items, size_t n_items, size_t item_size) {
        char *grown = reallocarray(items, n_items + 1, item_size);

        if (!grown) {
                loader->error = -ENOMEM;
                return NULL;
        }
        memset(grown + n_items * item_size, 0, item_size);
        return grown;
}

static void load_source(struct loader *loader, const struct ini_section *section) {
        struct settings *settings = loader->settings;
        struct settings_source *source, *sources;
        struct place place;

        if (section_values(loader, "source", section, NULL, &place) < 0)
                return;
        sources = grow(loader, settings->sources, settings->n_sources, sizeof(*sources));
        if (!sources)
                return;
        settings->sources = sources;
        source = &sources[settings->n_sources++];
        *source = (struct settings_source){
                .name = section->name,
                .prefix = text_or_empty(&place, "prefix"),
        };
        read_credentials(loader, &place, &source->credentials);
        check_source(loader, &place, source);
}

static void load_device(struct loader *loader, const struct ini_section *section) {
        struct settings *settings = loader->settings;
        struct settings_device *device, *devices;
        struct place place;

        if (section_values(loader, "device", section, setting_any_key, &place) < 0)
                return;
        devices = grow(loader, settings->devices, settings->n_devices, sizeof(*devices));
        if (!devices)
                return;
        settings->devices = devices;
        device = &devices[settings->n_devices++];
        device->name = section->name;
        device->section = section;
        device->driver = text_or_empty(&place, "driver");
        device->address = text_or_empty(&place, "address");
        device->model = text_or_empty(&place, "model");
        read_list(loader, &place, "labels", &label_rule, &device->labels);
        if (!*device->driver)
                complain(loader, &place, "driver", "must be given");
        else if (!str_is_driver_name(device->driver))
                complain(loader, &place, "driver", "expected 1 to %d characters of a-z 0-9 -", STR_DRIVER_MAX);
        if (*device->model && !str_is_model(device->model))
                complain(loader, &place, "model", "expected 1 to 63 characters of A-Z a-z 0-9 _ . , @ / + -");
}

static void load_plugin(struct loader *loader, const struct ini_section *section) {
        struct settings *settings = loader->settings;
        struct settings_plugin *plugins;
        struct place place;

        if (section_values(loader, "plugin", section, setting_any_key, &place) < 0)
                return;
        plugins = grow(loader, settings->plugins, settings->n_plugins, sizeof(*plugins));
        if (!plugins)
                return;
        settings->plugins = plugins;
        plugins[settings->n_plugins++] = (struct settings_plugin){
                .name = section->name,
                .enabled = setting_bool(place.values, "enabled"),
                .section = section,
        };
}

static void load_named_sections(struct loader *loader) {
        const struct ini *ini = loader->settings->ini;

        for (size_t i = 0; i < ini->n_sections && loader->error == 0; i++) {
                const struct ini_section *section = &ini->sections[i];

                check_section(loader, section);
                if (!section->name)
                        continue;
                if (strcmp(section->kind, "source") == 0)
                        load_source(loader, section);
                else if (strcmp(section->kind, "device") == 0)
                        load_device(loader, section);
                else if (strcmp(section->kind, "plugin") == 0)
                        load_plugin(loader, section);
        }
}

/* --- the whole --- */

static int compare_errors(const void *a, const void *b) {
        const struct config_error *left = a, *right = b;

        return left->line < right->line ? -1 : left->line > right->line;
}

/* Takes ini over. */
static int settings_new(struct ini *ini, struct config_errors *errors, struct settings **ret_settings) {
        _cleanup_ini_ struct ini *owned = ini;
        _cleanup_settings_ struct settings *settings = calloc(1, sizeof(*settings));
        struct loader loader = {.settings = settings, .errors = errors};

        if (!settings)
                return -ENOMEM;
        settings->ini = TAKE_PTR(owned);
        settings->file = settings->ini->file;
        load_named_sections(&loader);
        load_plain_sections(&loader);
        if (loader.error < 0)
                return loader.error;
        /* Grammar, tables and rules complained one after the other; a person reads from top to bottom. */
        if (errors->n_items > 1)
                qsort(errors->items, errors->n_items, sizeof(*errors->items), compare_errors);
        *ret_settings = TAKE_PTR(settings);
        return 0;
}

int settings_parse(const char *file, const char *text, size_t size, struct config_errors *errors, struct settings **ret_settings) {
        struct ini *ini;
        int r;

        r = ini_parse(file, text, size, errors, &ini);
        return r < 0 ? r : settings_new(ini, errors, ret_settings);
}

int settings_load(const char *path, struct config_errors *errors, struct settings **ret_settings) {
        const char *file = path ? path : SETTINGS_DEFAULT_FILE;
        struct ini *ini;
        int r;

        r = ini_read(file, errors, &ini);
        if (r == -ENOMEM)
                return r;
        if (r == -EFBIG)
                config_errors_add(errors, file, 0, NULL, NULL, "larger than %u bytes", CONFIG_FILE_MAX);
        else if (r < 0 && (r != -ENOENT || path))
                config_errors_add(errors, file, 0, NULL, NULL, "cannot be read: %s", strerror(-r));
        if (r < 0)
                return settings_parse(file, "", 0, errors, ret_settings);
        return settings_new(ini, errors, ret_settings);
}

void settings_free(struct settings *settings) {
        if (!settings)
                return;
        str_list_deinit(&settings->gateway.groups);
        str_list_deinit(&settings->gateway.auto_adopt);
        str_list_deinit(&settings->notify.on);
        str_list_deinit(&settings->serial.ports);
        str_list_deinit(&settings->ble.adapters);
        str_list_deinit(&settings->mcuboot.public_keys);
        free(settings->artifacts.allow_ranges);
        time_windows_free(settings->policy.maintenance_windows, settings->policy.n_maintenance_windows);
        for (size_t i = 0; i < settings->n_devices; i++)
                str_list_deinit(&settings->devices[i].labels);
        free(settings->sources);
        free(settings->devices);
        free(settings->plugins);
        for (size_t i = 0; i < settings->n_values; i++)
                setting_values_free(settings->values[i]);
        free(settings->values);
        ini_free(settings->ini);
        free(settings);
}
