/* SPDX-License-Identifier: Apache-2.0 */
#include "config/setting_values.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/limits.h"
#include "base/str.h"

struct value {
        const struct gw_setting *setting;
        char *text; /* as in the file or the default; NULL = none */
        int64_t number;
        unsigned line; /* 0 = default */
};

struct gw_settings {
        struct value *values; /* one for each line of the table, same order */
        size_t n_values;
};

static size_t table_length(const struct gw_setting *table) {
        size_t n = 0;

        while (table && table[n].key)
                n++;
        return n;
}

static const struct gw_setting *table_find(const struct gw_setting *table, const char *key) {
        for (; table && table->key; table++)
                if (strcmp(table->key, key) == 0)
                        return table;
        return NULL;
}

/* --- one value --- */

static bool is_bounded(const struct gw_setting *setting) {
        return setting->minimum != 0 || setting->maximum != 0;
}

/* A number of the setting's own unit, for a message. */
static void format_number(const struct gw_setting *setting, int64_t number, char *dst, size_t size) {
        if (setting->type == GW_SETTING_DURATION)
                str_format_duration_ms(dst, size, number);
        else if (setting->type == GW_SETTING_SIZE)
                str_format_size(dst, size, (uint64_t) number);
        else
                str_format(dst, size, "%" PRId64, number);
}

static void describe_range(const struct gw_setting *setting, const char *what, char *dst, size_t size) {
        char low[64], high[64];

        if (!is_bounded(setting)) {
                str_copy(dst, size, what);
                return;
        }
        format_number(setting, setting->minimum, low, sizeof(low));
        format_number(setting, setting->maximum, high, sizeof(high));
        str_format(dst, size, "%s from %s to %s", what, low, high);
}

static void describe_choices(const char *choices, char *dst, size_t size) {
        _cleanup_strbuf_ struct strbuf text = STRBUF_INIT(CONFIG_LINE_MAX);

        strbuf_append(&text, "one of ");
        for (; *choices; choices++) {
                if (*choices == '|')
                        strbuf_append(&text, ", ");
                else
                        strbuf_append_char(&text, *choices);
        }
        str_copy(dst, size, strbuf_text(&text));
}

void setting_describe(const struct gw_setting *setting, char *dst, size_t size) {
        switch (setting->type) {
        case GW_SETTING_STRING:
                str_copy(dst, size, "text");
                return;
        case GW_SETTING_PATH:
                str_copy(dst, size, "an absolute path");
                return;
        case GW_SETTING_BOOL:
                str_copy(dst, size, "yes or no");
                return;
        case GW_SETTING_INTEGER:
                describe_range(setting, "a whole number", dst, size);
                return;
        case GW_SETTING_DURATION:
                describe_range(setting, "a duration such as \"90 s\"", dst, size);
                return;
        case GW_SETTING_SIZE:
                describe_range(setting, "a size such as \"16M\"", dst, size);
                return;
        case GW_SETTING_ENUM:
                describe_choices(setting->choices, dst, size);
                return;
        case GW_SETTING_LIST:
                str_copy(dst, size, "words separated by blanks or commas");
                return;
        }
}

static int parse_choice(const char *choices, const char *text, int64_t *ret_index) {
        size_t length = strlen(text);
        int64_t index = 0;

        for (const char *choice = choices; length > 0; index++) {
                size_t choice_length = strcspn(choice, "|");

                if (choice_length == length && strncmp(choice, text, length) == 0) {
                        *ret_index = index;
                        return 0;
                }
                if (!choice[choice_length])
                        break;
                choice += choice_length + 1;
        }
        return -EINVAL;
}

static int parse_number(const struct gw_setting *setting, const char *text, int64_t *ret_number) {
        int64_t number = 0;
        uint64_t size;
        int r;

        if (setting->type == GW_SETTING_INTEGER) {
                r = str_parse_int64(text, INT64_MIN, INT64_MAX, &number);
        } else if (setting->type == GW_SETTING_DURATION) {
                r = str_parse_duration_ms(text, &number);
        } else {
                r = str_parse_size(text, &size);
                if (r == 0 && size > INT64_MAX)
                        r = -ERANGE;
                if (r == 0)
                        number = (int64_t) size;
        }
        if (r < 0)
                return r;
        if (is_bounded(setting) && (number < setting->minimum || number > setting->maximum))
                return -ERANGE;
        *ret_number = number;
        return 0;
}

static int parse_list_count(const char *text, int64_t *ret_number) {
        _cleanup_str_list_ struct str_list list = STR_LIST_INIT;
        int r = setting_list_split(text, &list);

        if (r == 0)
                *ret_number = (int64_t) list.n_items;
        return r;
}

/* 0, -EINVAL, -ERANGE, -ENOMEM. */
static int parse_value(const struct gw_setting *setting, const char *text, int64_t *ret_number) {
        bool yes;
        int r;

        switch (setting->type) {
        case GW_SETTING_STRING:
                *ret_number = 0;
                return 0;
        case GW_SETTING_PATH:
                *ret_number = 0;
                return *text == '/' ? 0 : -EINVAL;
        case GW_SETTING_BOOL:
                r = str_parse_bool(text, &yes);
                if (r == 0)
                        *ret_number = yes;
                return r;
        case GW_SETTING_INTEGER:
        case GW_SETTING_DURATION:
        case GW_SETTING_SIZE:
                return parse_number(setting, text, ret_number);
        case GW_SETTING_ENUM:
                return parse_choice(setting->choices, text, ret_number);
        case GW_SETTING_LIST:
                return parse_list_count(text, ret_number);
        }
        return -EINVAL;
}

int setting_check(const struct gw_setting *setting, const char *text, int64_t *ret_number, char *why, size_t why_size) {
        char expected[512], found[80];
        int r = parse_value(setting, text, ret_number);

        if (r == 0 || r == -ENOMEM)
                return r;
        setting_describe(setting, expected, sizeof(expected));
        str_escape(found, sizeof(found), text, strlen(text));
        str_format(why, why_size, "expected %s, found \"%s\"", expected, found);
        return -EINVAL;
}

int setting_list_split(const char *text, struct str_list *ret_list) {
        _cleanup_str_list_ struct str_list list = STR_LIST_INIT;

        for (text += strspn(text, " \t,"); *text; text += strspn(text, " \t,")) {
                size_t length = strcspn(text, " \t,");

                if (list.n_items == CONFIG_LIST_MAX)
                        return -ERANGE;
                if (str_list_append_n(&list, text, length) < 0)
                        return -ENOMEM;
                text += length;
        }
        *ret_list = list;
        list = STR_LIST_INIT;
        return 0;
}

/* --- tables --- */

static int check_table_line(const struct gw_setting *table, const struct gw_setting *setting, char *why, size_t why_size) {
        size_t length = strlen(setting->key);
        char reason[256];
        int64_t number;

        if (length == 0 || length > STR_ID_MAX || strspn(setting->key, "abcdefghijklmnopqrstuvwxyz0123456789_") != length)
                str_format(why, why_size, "setting \"%.64s\": a key is made of a-z 0-9 _", setting->key);
        else if (table_find(table, setting->key) != setting)
                str_format(why, why_size, "setting \"%s\" stands twice in the table", setting->key);
        else if ((unsigned) setting->type > GW_SETTING_LIST)
                str_format(why, why_size, "setting \"%s\": unknown type %d", setting->key, (int) setting->type);
        else if (setting->type == GW_SETTING_ENUM && (!setting->choices || !*setting->choices))
                str_format(why, why_size, "setting \"%s\": an enumeration without choices", setting->key);
        else if (setting->minimum > setting->maximum)
                str_format(why, why_size, "setting \"%s\": minimum above maximum", setting->key);
        else if (setting->value && setting_check(setting, setting->value, &number, reason, sizeof(reason)) < 0)
                str_format(why, why_size, "setting \"%s\": its default: %s", setting->key, reason);
        else
                return 0;
        return -EINVAL;
}

int setting_table_check(const struct gw_setting *table, char *why, size_t why_size) {
        for (const struct gw_setting *setting = table; setting && setting->key; setting++) {
                int r = check_table_line(table, setting, why, why_size);

                if (r < 0)
                        return r;
        }
        return 0;
}

/* --- a section under its table --- */

/* Compared by address. */
const struct gw_setting setting_any_key[] = {{.key = NULL}};

void setting_values_free(struct gw_settings *settings) {
        if (!settings)
                return;
        for (size_t i = 0; i < settings->n_values; i++)
                free(settings->values[i].text);
        free(settings->values);
        free(settings);
}

static int value_set(struct value *value, const char *text, int64_t number, unsigned line) {
        char *copy = strdup(text);

        if (!copy)
                return -ENOMEM;
        free(value->text);
        value->text = copy;
        value->number = number;
        value->line = line;
        return 0;
}

static int values_default(struct gw_settings *settings) {
        char why[256];

        for (size_t i = 0; i < settings->n_values; i++) {
                struct value *value = &settings->values[i];
                int64_t number;
                int r;

                if (!value->setting->value)
                        continue;
                r = setting_check(value->setting, value->setting->value, &number, why, sizeof(why));
                assert(r != -EINVAL); /* setting_table_check() comes before a foreign table is used */
                if (r == 0)
                        r = value_set(value, value->setting->value, number, 0);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* The key of either table that is nearest to what was written. */
static const char *nearest_key(const char *key, const struct gw_setting *table, const struct gw_setting *shared) {
        size_t best = MAX(strlen(key) / 3, (size_t) 1) + 1;
        const char *found = NULL;

        for (int i = 0; i < 2; i++, table = shared) {
                for (const struct gw_setting *setting = table; setting && setting->key; setting++) {
                        size_t distance = str_distance(key, setting->key);

                        if (distance < best) {
                                best = distance;
                                found = setting->key;
                        }
                }
        }
        return found;
}

/* What is common to all keys of one section. */
struct source {
        const char *file;
        const struct ini_section *section;
        struct config_errors *errors;
};

static int value_read(struct value *value, const struct ini_entry *entry, const struct source *source) {
        int64_t number = 0;
        char why[768];
        int r;

        r = setting_check(value->setting, entry->value, &number, why, sizeof(why));
        if (r == -EINVAL) {
                config_errors_add(source->errors, source->file, entry->line, source->section->title, entry->key, "%s", why);
                return 0;
        }
        return r < 0 ? r : value_set(value, entry->value, number, entry->line);
}

static void report_unknown(const struct ini_entry *entry, const struct gw_setting *table, const struct gw_setting *shared,
                           const struct source *source) {
        const char *meant = nearest_key(entry->key, table, shared);

        if (meant)
                config_errors_add(source->errors, source->file, entry->line, source->section->title, entry->key,
                                  "unknown key, did you mean \"%s\"?", meant);
        else
                config_errors_add(source->errors, source->file, entry->line, source->section->title, entry->key, "unknown key");
}

int setting_values_new(const char *file, const struct ini_section *section, const struct gw_setting *table, const struct gw_setting *shared,
                       struct config_errors *errors, struct gw_settings **ret_settings) {
        _cleanup_(setting_values_freep) struct gw_settings *settings = calloc(1, sizeof(*settings));
        const struct source source = {.file = file, .section = section, .errors = errors};
        size_t n = table_length(table);
        int r;

        if (!settings)
                return -ENOMEM;
        settings->values = calloc(MAX(n, (size_t) 1), sizeof(*settings->values));
        if (!settings->values)
                return -ENOMEM;
        settings->n_values = n;
        for (size_t i = 0; i < n; i++)
                settings->values[i].setting = &table[i];
        r = values_default(settings);
        for (size_t i = 0; r == 0 && section && i < section->n_entries; i++) {
                const struct ini_entry *entry = &section->entries[i];
                const struct gw_setting *setting = table_find(table, entry->key);

                if (setting)
                        r = value_read(&settings->values[setting - table], entry, &source);
                else if (shared != setting_any_key && !table_find(shared, entry->key))
                        report_unknown(entry, table, shared, &source);
        }
        if (r < 0)
                return r;
        *ret_settings = TAKE_PTR(settings);
        return 0;
}

/* --- reading --- */

static const struct value *value_or_null(const struct gw_settings *settings, const char *key) {
        for (size_t i = 0; i < settings->n_values; i++)
                if (strcmp(settings->values[i].setting->key, key) == 0)
                        return &settings->values[i];
        return NULL;
}

static const struct value *value_find(const struct gw_settings *settings, const char *key) {
        const struct value *value = value_or_null(settings, key);

        assert(value || !"a key that is in no table");
        return value;
}

bool setting_has_key(const struct gw_settings *settings, const char *key) {
        return value_or_null(settings, key);
}

const char *setting_text(const struct gw_settings *settings, const char *key) {
        const struct value *value = value_find(settings, key);

        return value ? value->text : NULL;
}

int64_t setting_number(const struct gw_settings *settings, const char *key) {
        const struct value *value = value_find(settings, key);

        return value ? value->number : 0;
}

bool setting_bool(const struct gw_settings *settings, const char *key) {
        return setting_number(settings, key) != 0;
}

bool setting_is_set(const struct gw_settings *settings, const char *key) {
        return setting_line(settings, key) > 0;
}

unsigned setting_line(const struct gw_settings *settings, const char *key) {
        const struct value *value = value_find(settings, key);

        return value ? value->line : 0;
}

const struct gw_settings_ops setting_values_ops = {
        .size = sizeof(struct gw_settings_ops),
        .get = setting_text,
        .get_number = setting_number,
};
