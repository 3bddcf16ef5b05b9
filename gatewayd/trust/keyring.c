/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/keyring.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/str.h"
#include "base/time.h"
#include "config/setting_values.h"

#define SUFFIX ".pub"
#define FAULTS_MAX 64

struct keyring {
        unsigned n_references;
        struct keyring_key **keys;
        size_t n_keys;
        struct keyring_fault *faults;
        size_t n_faults;
};

static const struct gw_setting scope_table[] = {
        { .key = "drivers", .type = GW_SETTING_LIST, .text = "Documents must state their drivers, all of these." },
        { .key = "groups", .type = GW_SETTING_LIST, .text = "Only gateways in one of these groups." },
        { .key = "audience", .type = GW_SETTING_LIST, .text = "Only gateways whose id one of these globs matches." },
        { .key = "may_downgrade", .type = GW_SETTING_BOOL, .value = "yes", .text = "May documents allow downgrades, or roll back?" },
        { .key = "expires", .type = GW_SETTING_STRING, .text = "When the key ends to sign anything, such as 2027-12-31T00:00:00Z." },
        { .key = NULL },
};

void keyring_key_free(struct keyring_key *key) {
        if (!key)
                return;
        free(key->kid);
        key_free(key->key);
        str_list_deinit(&key->scope.drivers);
        str_list_deinit(&key->scope.groups);
        str_list_deinit(&key->scope.audience);
        free(key);
}
DEFINE_CLEANUP(struct keyring_key *, keyring_key_free);

/* --- one file --- */

static bool is_audience(const char *text) {
        size_t size = strlen(text);

        return size >= 1 && size <= STR_GATEWAY_ID_MAX && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-*?[]!") == size;
}

static int scope_mistake(struct gw_error *err, const char *key, const char *text) {
        gw_error_set(err, "key-scope-invalid", "[scope] %s: %s", key, text);
        return -EINVAL;
}

struct scope_list {
        const char *key;
        bool (*is_word)(const char *text);
        struct str_list *list;
};

static int read_list(const struct gw_settings *values, const struct scope_list *what, struct gw_error *err) {
        int r;

        if (!setting_is_set(values, what->key))
                return 0;
        r = setting_list_split(setting_text(values, what->key), what->list);
        if (r < 0)
                return r;
        /* Nothing after the "=" must not come to mean everything. */
        if (what->list->n_items == 0)
                return scope_mistake(err, what->key, "names nothing; leave the line out where nothing is to be restricted");
        for (size_t i = 0; i < what->list->n_items; i++)
                if (!what->is_word(what->list->items[i])) {
                        char text[160];

                        (void) str_format(text, sizeof text, "\"%.64s\" is no %s", what->list->items[i],
                                          what->is_word == is_audience            ? "glob on gateway ids"
                                          : what->is_word == str_is_driver_name ? "name of a driver"
                                                                                : "name of a group");
                        return scope_mistake(err, what->key, text);
                }
        return 0;
}

static int read_scope(const struct gw_settings *values, struct key_scope *scope, struct gw_error *err) {
        const struct scope_list lists[] = {
                { "drivers", str_is_driver_name, &scope->drivers },
                { "groups", str_is_gateway_id, &scope->groups },
                { "audience", is_audience, &scope->audience },
        };
        int r = 0;

        for (size_t i = 0; i < ARRAY_SIZE(lists) && r >= 0; i++)
                r = read_list(values, &lists[i], err);
        if (r < 0)
                return r;
        scope->may_downgrade = setting_bool(values, "may_downgrade");
        if (!setting_is_set(values, "expires"))
                return 0;
        if (time_parse_rfc3339(setting_text(values, "expires"), &scope->expires_ms) < 0)
                return scope_mistake(err, "expires", "expected a time such as 2027-12-31T00:00:00Z");
        scope->expires_ms = MAX(scope->expires_ms, 1); /* 0 means never */
        return 0;
}

/* The first mistake of the lines before the key, as the error. */
static int scope_mistakes(const struct config_errors *mistakes, struct gw_error *err) {
        const struct config_error *first = &mistakes->items[0];

        if (mistakes->n_items == 0)
                return -ENOMEM;
        gw_error_set(err, "key-scope-invalid", "line %u: %s%s%s", first->line, first->where, first->where[0] ? ": " : "", first->text);
        return -EINVAL;
}

static int check_sections(const struct ini *ini, struct gw_error *err) {
        for (size_t i = 0; i < ini->n_sections; i++)
                if (strcmp(ini->sections[i].title, "[scope]") != 0) {
                        gw_error_set(err, "key-scope-invalid", "line %u: %s: only [scope] stands in a key file", ini->sections[i].line,
                                     ini->sections[i].title);
                        return -EINVAL;
                }
        return 0;
}

static int parse_scope(const char *text, size_t size, struct key_scope *scope, struct gw_error *err) {
        _cleanup_config_errors_ struct config_errors mistakes = CONFIG_ERRORS_INIT;
        _cleanup_(setting_values_freep) struct gw_settings *values = NULL;
        _cleanup_ini_ struct ini *ini = NULL;
        int r = ini_parse("", text, size, &mistakes, &ini);

        if (r >= 0)
                r = check_sections(ini, err);
        if (r >= 0)
                r = setting_values_new("", ini_section_find(ini, "scope", NULL), scope_table, NULL, &mistakes, &values);
        if (r < 0)
                return r;
        return config_errors_any(&mistakes) ? scope_mistakes(&mistakes, err) : read_scope(values, scope, err);
}

/* [a-zA-Z0-9_.-]+ ".pub" */
static int parse_name(const char *name, char **ret_kid, struct gw_error *err) {
        char *kid = str_ends_with(name, SUFFIX) ? strndup(name, strlen(name) - strlen(SUFFIX)) : strdup("");

        if (!kid)
                return -ENOMEM;
        if (!str_is_id(kid)) {
                free(kid);
                gw_error_set(err, "key-name", "the name must be the id of the key (1 to 64 of A-Z a-z 0-9 _ . -) and .pub");
                return -EINVAL;
        }
        *ret_kid = kid;
        return 0;
}

/* Behind the key only white space: what stands there would look as if it counted. */
static int check_end(const char *text, size_t size, struct gw_error *err) {
        static const char end[] = "-----END PUBLIC KEY-----";
        const char *at = memmem(text, size, end, sizeof end - 1);

        if (!at)
                return 0; /* the reader of the key says it */
        for (at += sizeof end - 1; at < text + size; at++)
                if (!strchr(" \t\r\n", *at)) {
                        gw_error_set(err, "key-invalid", "something stands behind the key; [scope] belongs before it");
                        return -EINVAL;
                }
        return 0;
}

int keyring_key_parse(const char *name, const char *text, size_t size, struct keyring_key **ret_key, struct gw_error *err) {
        _cleanup_(keyring_key_freep) struct keyring_key *key = calloc(1, sizeof *key);
        const char *pem = memmem(text, size, "-----BEGIN ", strlen("-----BEGIN "));
        size_t scope_size = pem ? (size_t) (pem - text) : size;
        int r;

        if (!key)
                return -ENOMEM;
        r = key_read_public(text + scope_size, size - scope_size, &key->key, err);
        if (r >= 0)
                r = parse_name(name, &key->kid, err);
        if (r >= 0)
                r = check_end(text, size, err);
        if (r >= 0)
                r = parse_scope(text, scope_size, &key->scope, err);
        if (r < 0)
                return r;
        key_fingerprint(key->key, key->fingerprint);
        *ret_key = TAKE_PTR(key);
        return 0;
}

/* --- the directory --- */

static bool only_owner_writes(const struct stat *stat) {
        return (stat->st_uid == 0 || stat->st_uid == geteuid()) && !(stat->st_mode & (S_IWGRP | S_IWOTH));
}

static int cannot_read(struct gw_error *err, const char *name, int error) {
        gw_error_set(err, "key-unreadable", "%s cannot be read: %s", name, strerror(error));
        return -EINVAL;
}

/* -ENOENT: nothing that could be a key. */
static int read_file(int directory, const char *name, char *text, size_t *ret_size, struct gw_error *err) {
        _cleanup_close_ int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        struct stat stat;
        ssize_t size;

        if (fd < 0 || fstat(fd, &stat) < 0)
                return cannot_read(err, name, errno);
        if (!S_ISREG(stat.st_mode))
                return -ENOENT;
        if (!only_owner_writes(&stat)) {
                gw_error_set(err, "key-writable", "others may write to it");
                return -EINVAL;
        }
        size = read(fd, text, KEY_FILE_SIZE_MAX + 1);
        if (size < 0)
                return cannot_read(err, name, errno);
        *ret_size = (size_t) size;
        return 0;
}

static int take_key(struct keyring *keyring, struct keyring_key *key, struct gw_error *err) {
        struct keyring_key **keys;

        if (keyring->n_keys == KEYRING_KEYS_MAX) {
                gw_error_set(err, "key-unreadable", "the directory holds more than %d keys", KEYRING_KEYS_MAX);
                return -EINVAL;
        }
        keys = reallocarray(keyring->keys, keyring->n_keys + 1, sizeof *keys);
        if (!keys)
                return -ENOMEM;
        keyring->keys = keys;
        keys[keyring->n_keys++] = key;
        return 0;
}

/* Two files with one key would be two ids for it: of which scope would hold then is not left to whoever signs. */
static int check_twin(const struct keyring *keyring, const struct keyring_key *key, struct gw_error *err) {
        for (size_t i = 0; i < keyring->n_keys; i++)
                if (memcmp(keyring->keys[i]->fingerprint, key->fingerprint, DIGEST_SIZE) == 0) {
                        gw_error_set(err, "key-invalid", "%s" SUFFIX " holds the same key", keyring->keys[i]->kid);
                        return -EINVAL;
                }
        return 0;
}

static int load_key(struct keyring *keyring, const char *name, const char *text, size_t size, struct gw_error *err) {
        struct keyring_key *key = NULL;
        int r;

        if (size > KEY_FILE_SIZE_MAX) {
                gw_error_set(err, "key-invalid", "the file is larger than any key");
                return -EINVAL;
        }
        r = keyring_key_parse(name, text, size, &key, err);
        if (r >= 0)
                r = check_twin(keyring, key, err);
        if (r >= 0)
                r = take_key(keyring, key, err);
        if (r < 0)
                keyring_key_free(key);
        return r;
}

static int add_fault(struct keyring *keyring, const char *name, const struct gw_error *err) {
        struct keyring_fault *faults;

        if (keyring->n_faults == FAULTS_MAX)
                return 0;
        faults = reallocarray(keyring->faults, keyring->n_faults + 1, sizeof *faults);
        if (!faults)
                return -ENOMEM;
        keyring->faults = faults;
        faults[keyring->n_faults] = (struct keyring_fault){ .file = strdup(name), .error = *err };
        return faults[keyring->n_faults++].file ? 0 : -ENOMEM;
}

static int load_file(struct keyring *keyring, int directory, const char *name) {
        bool is_key = str_ends_with(name, SUFFIX);
        char text[KEY_FILE_SIZE_MAX + 1];
        struct gw_error err = { 0 };
        size_t size = 0;
        int r = read_file(directory, name, text, &size, &err);

        if (!is_key) {
                if (r < 0 || !key_text_is_private(text, size))
                        return 0;
                gw_error_set(&err, "key-private", "it holds a private key, which must not be on a gateway");
                return add_fault(keyring, name, &err);
        }
        if (r == -ENOENT) {
                gw_error_set(&err, "key-invalid", "it is no regular file");
                r = -EINVAL;
        }
        if (r >= 0)
                r = load_key(keyring, name, text, size, &err);
        return r == -EINVAL ? add_fault(keyring, name, &err) : r;
}

static int is_visible(const struct dirent *entry) {
        return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static int compare_names(const struct dirent **a, const struct dirent **b) {
        return strcmp((*a)->d_name, (*b)->d_name);
}

static int load_directory(struct keyring *keyring, int directory) {
        struct dirent **entries = NULL;
        int n = scandirat(directory, ".", &entries, is_visible, compare_names), r = n < 0 ? -errno : 0;

        for (int i = 0; i < n; i++) {
                if (r >= 0)
                        r = load_file(keyring, directory, entries[i]->d_name);
                free(entries[i]);
        }
        free(entries);
        return r;
}

static int open_directory(const char *path, struct gw_error *err) {
        _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct stat stat;

        if (fd < 0 && errno == ENOENT)
                return -ENOENT;
        if (fd < 0 || fstat(fd, &stat) < 0) {
                gw_error_set(err, "keys-unreadable", "%s: %s", path, strerror(errno));
                return -errno;
        }
        if (!only_owner_writes(&stat)) {
                gw_error_set(err, "keys-unreadable", "%s: others may write to it; who can may put a key there", path);
                return -EPERM;
        }
        return TAKE_FD(fd);
}

static int compare_keys(const void *a, const void *b) {
        return strcmp((*(struct keyring_key *const *) a)->kid, (*(struct keyring_key *const *) b)->kid);
}

int keyring_load(const char *directory, struct keyring **ret_keyring, struct gw_error *err) {
        _cleanup_keyring_ struct keyring *keyring = calloc(1, sizeof *keyring);
        _cleanup_close_ int fd = -1;
        int r;

        if (!keyring)
                return -ENOMEM;
        keyring->n_references = 1;
        fd = open_directory(directory, err);
        if (fd < 0 && fd != -ENOENT)
                return fd;
        r = fd < 0 ? 0 : load_directory(keyring, fd);
        if (r < 0) {
                if (r != -ENOMEM)
                        gw_error_set(err, "keys-unreadable", "%s: %s", directory, strerror(-r));
                return r;
        }
        if (keyring->n_keys > 1)
                qsort(keyring->keys, keyring->n_keys, sizeof *keyring->keys, compare_keys);
        *ret_keyring = TAKE_PTR(keyring);
        return 0;
}

struct keyring *keyring_ref(struct keyring *keyring) {
        if (keyring)
                keyring->n_references++;
        return keyring;
}

void keyring_unref(struct keyring *keyring) {
        if (!keyring || --keyring->n_references > 0)
                return;
        for (size_t i = 0; i < keyring->n_keys; i++)
                keyring_key_free(keyring->keys[i]);
        free(keyring->keys);
        for (size_t i = 0; i < keyring->n_faults; i++)
                free(keyring->faults[i].file);
        free(keyring->faults);
        free(keyring);
}

/* --- looking --- */

static int compare_kid(const void *kid, const void *item) {
        return strcmp(kid, (*(struct keyring_key *const *) item)->kid);
}

const struct keyring_key *keyring_find(const struct keyring *keyring, const char *kid) {
        struct keyring_key *const *found = NULL;

        if (keyring && keyring->n_keys > 0)
                found = bsearch(kid, keyring->keys, keyring->n_keys, sizeof *keyring->keys, compare_kid);
        return found ? *found : NULL;
}

size_t keyring_count(const struct keyring *keyring) {
        return keyring ? keyring->n_keys : 0;
}

const struct keyring_key *keyring_at(const struct keyring *keyring, size_t index) {
        return index < keyring_count(keyring) ? keyring->keys[index] : NULL;
}

size_t keyring_fault_count(const struct keyring *keyring) {
        return keyring ? keyring->n_faults : 0;
}

const struct keyring_fault *keyring_fault_at(const struct keyring *keyring, size_t index) {
        return index < keyring_fault_count(keyring) ? &keyring->faults[index] : NULL;
}
