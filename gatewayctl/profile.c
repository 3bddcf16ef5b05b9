/* SPDX-License-Identifier: Apache-2.0 */
#include "profile.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

enum profile_kind {
        PROFILE_TEXT,
        PROFILE_FILE,
        PROFILE_KEY, /* a file, or a key in a token */
        PROFILE_FLAG,
};

static const struct {
        const char *key;
        enum profile_kind kind;
} keys[] = {
        { "socket", PROFILE_FILE },        { "broker", PROFILE_TEXT }, { "root", PROFILE_TEXT },     { "gateway", PROFILE_TEXT },
        { "group", PROFILE_TEXT },         { "all", PROFILE_FLAG },    { "ca_file", PROFILE_FILE },  { "cert", PROFILE_FILE },
        { "cert_key", PROFILE_FILE },      { "user", PROFILE_TEXT },   { "client", PROFILE_TEXT },   { "key", PROFILE_KEY },
        { "password_file", PROFILE_FILE }, { "kid", PROFILE_TEXT },    { "external", PROFILE_TEXT }, { "pub", PROFILE_FILE },
};

struct profile {
        char *values[ARRAY_SIZE(keys)]; /* as for the option: "" is a flag that is set */
};

void profiles_path(char *dst, size_t size) {
        const char *file = getenv("GATEWAYCTL_PROFILES"), *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

        if (file && file[0])
                str_copy(dst, size, file);
        else if (config && config[0] == '/')
                str_format(dst, size, "%s/gatewayctl/profiles.conf", config);
        else
                str_format(dst, size, "%s/.config/gatewayctl/profiles.conf", home && home[0] == '/' ? home : "");
}

static int find_key(const char *key) {
        for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
                if (strcmp(keys[i].key, key) == 0)
                        return (int) i;
        return -1;
}

static void nearest_key(const char *key, char *dst, size_t size) {
        size_t best = 3;

        dst[0] = '\0';
        for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
                if (str_distance(key, keys[i].key) < best) {
                        best = str_distance(key, keys[i].key);
                        str_format(dst, size, ", did you mean %s?", keys[i].key);
                }
}

/* --- the file --- */

static void check_entry(const struct ini *ini, const struct ini_section *section, const struct ini_entry *entry,
                        struct config_errors *errors) {
        int key = find_key(entry->key);
        char nearest[64];
        bool flag;

        if (key < 0) {
                nearest_key(entry->key, nearest, sizeof nearest);
                config_errors_add(errors, ini->file, entry->line, section->title, entry->key, "unknown key%s", nearest);
        } else if (keys[key].kind == PROFILE_FLAG && str_parse_bool(entry->value, &flag) < 0) {
                config_errors_add(errors, ini->file, entry->line, section->title, entry->key, "expected yes or no");
        } else if (keys[key].kind != PROFILE_FLAG && !entry->value[0]) {
                config_errors_add(errors, ini->file, entry->line, section->title, entry->key, "is empty");
        }
}

static void check_section(const struct ini *ini, const struct ini_section *section, struct config_errors *errors) {
        const char *const audience[] = { "gateway", "group", "all" };
        size_t n_audience = 0;

        if (strcmp(section->kind, "profile") != 0 || !section->name) {
                config_errors_add(errors, ini->file, section->line, section->title, NULL, "expected [profile NAME]");
                return;
        }
        for (size_t i = 0; i < section->n_entries; i++)
                check_entry(ini, section, &section->entries[i], errors);
        for (size_t i = 0; i < ARRAY_SIZE(audience); i++)
                n_audience += ini_entry_find(section, audience[i]) != NULL;
        if (n_audience > 1)
                config_errors_add(errors, ini->file, section->line, section->title, NULL, "gateway, group and all exclude each other");
        if (ini_entry_find(section, "socket") && ini_entry_find(section, "broker"))
                config_errors_add(errors, ini->file, section->line, section->title, NULL, "socket and broker exclude each other");
}

static int mistakes(const char *path, const struct config_errors *errors, struct failure *failure) {
        struct json *array = json_new_array();

        failure_set(failure, EXIT_CODE_REFUSED, "profile-invalid", "%s holds %zu mistake%s", path, errors->n_items,
                    errors->n_items == 1 ? "" : "s");
        for (size_t i = 0; array && i < errors->n_items; i++) {
                struct json *mistake = json_append_new_object(array);
                char where[128];
                str_format(where, sizeof where, "line %u%s%s", errors->items[i].line, errors->items[i].where[0] ? ", " : "",
                           errors->items[i].where);
                json_set_string(mistake, "path", where);
                json_set_string(mistake, "text", errors->items[i].text);
        }
        failure->mistakes = array;
        return -EBADMSG;
}

int profiles_read(struct ini **ret_ini, struct failure *failure) {
        _cleanup_config_errors_ struct config_errors errors = CONFIG_ERRORS_INIT;
        _cleanup_ini_ struct ini *ini = NULL;
        char path[PATH_MAX];
        int r;

        profiles_path(path, sizeof path);
        r = ini_read(path, &errors, &ini);
        if (r == -ENOENT) {
                *ret_ini = NULL;
                return 0;
        }
        if (r == -ENOMEM)
                return failure_errno(failure, r);
        if (r < 0)
                return failure_set(failure, EXIT_CODE_REFUSED, "file-unreadable", "%s: %s", path, strerror(-r));
        for (size_t i = 0; i < ini->n_sections; i++)
                check_section(ini, &ini->sections[i], &errors);
        if (config_errors_any(&errors))
                return mistakes(path, &errors, failure);
        *ret_ini = TAKE_PTR(ini);
        return 0;
}

/* --- one profile --- */

static int take_path(const char *file, const char *value, char **ret_value) {
        const char *home = getenv("HOME"), *slash = strrchr(file, '/');
        char path[PATH_MAX];
        int r;

        if (value[0] == '/')
                r = str_copy(path, sizeof path, value);
        else if (str_starts_with(value, "~/") && home)
                r = str_format(path, sizeof path, "%s/%s", home, value + 2);
        else
                r = str_format(path, sizeof path, "%.*s/%s", slash ? (int) (slash - file) : 1, slash ? file : ".", value);
        if (r < 0)
                return -ENAMETOOLONG;
        *ret_value = strdup(path);
        return *ret_value ? 0 : -ENOMEM;
}

static int take_entry(struct profile *profile, const char *file, const struct ini_entry *entry) {
        int key = find_key(entry->key);
        bool flag = false;

        switch (keys[key].kind) {
        case PROFILE_KEY:
                if (str_starts_with(entry->value, "pkcs11:")) {
                        profile->values[key] = strdup(entry->value);
                        return profile->values[key] ? 0 : -ENOMEM;
                }
                return take_path(file, entry->value, &profile->values[key]);
        case PROFILE_FILE:
                return take_path(file, entry->value, &profile->values[key]);
        case PROFILE_FLAG:
                str_parse_bool(entry->value, &flag);
                if (!flag)
                        return 0;
                profile->values[key] = strdup("");
                return profile->values[key] ? 0 : -ENOMEM;
        case PROFILE_TEXT:
                profile->values[key] = strdup(entry->value);
                return profile->values[key] ? 0 : -ENOMEM;
        }
        return 0;
}

static int unknown_profile(const struct ini *ini, const char *name, struct failure *failure) {
        char path[PATH_MAX];

        profiles_path(path, sizeof path);
        if (!ini)
                return failure_set(failure, EXIT_CODE_USAGE, "profile-unknown", "there is no profile %s: no file %s", name, path);
        return failure_set(failure, EXIT_CODE_USAGE, "profile-unknown", "%s has no [profile %s]", path, name);
}

int profile_new(const char *name, struct profile **ret_profile, struct failure *failure) {
        _cleanup_profile_ struct profile *profile = calloc(1, sizeof *profile);
        _cleanup_ini_ struct ini *ini = NULL;
        const struct ini_section *section;
        int r = profile ? profiles_read(&ini, failure) : failure_errno(failure, -ENOMEM);

        if (r < 0)
                return r;
        section = ini ? ini_section_find(ini, "profile", name) : NULL;
        if (!section)
                return unknown_profile(ini, name, failure);
        for (size_t i = 0; i < section->n_entries; i++) {
                r = take_entry(profile, ini->file, &section->entries[i]);
                if (r < 0)
                        return failure_errno(failure, r);
        }
        *ret_profile = TAKE_PTR(profile);
        return 0;
}

void profile_free(struct profile *profile) {
        if (!profile)
                return;
        for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
                free(profile->values[i]);
        free(profile);
}

const char *profile_value(const struct profile *profile, const char *option) {
        char key[32];

        if (!profile || str_copy(key, sizeof key, option) < 0)
                return NULL;
        for (char *at = key; *at; at++)
                if (*at == '-')
                        *at = '_';
        return find_key(key) < 0 ? NULL : profile->values[find_key(key)];
}
