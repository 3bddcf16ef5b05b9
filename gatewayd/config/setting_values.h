/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Typed settings by table (struct gw_setting of plugin.h), the one mechanism for the daemon's own sections, for plugins and
 * for drivers' devices. It defines struct gw_settings: the checked values of one section under one or more tables.
 *
 * Reading checks every value against type, range and choices and reports all mistakes with the form that was expected; a
 * value with a mistake takes its default.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gatewayd/plugin.h>

#include "base/cleanup.h"
#include "base/str_list.h"
#include "config/config_errors.h"
#include "config/ini.h"

struct gw_settings;

/*
 * section NULL: all defaults. shared: a table whose keys may also stand in the section but are read elsewhere (the keys that every
 * [device] has); NULL = none; setting_any_key = any key. Keys in neither are reported with "did you mean". table NULL counts as an
 * empty one. -ENOMEM.
 */
int setting_values_new(const char *file, const struct ini_section *section, const struct gw_setting *table, const struct gw_setting *shared,
                       struct config_errors *errors, struct gw_settings **ret_settings);
extern const struct gw_setting setting_any_key[];

void setting_values_free(struct gw_settings *settings);
DEFINE_CLEANUP(struct gw_settings *, setting_values_free);

/* For struct gw_host. get and get_number as plugin.h says. */
extern const struct gw_settings_ops setting_values_ops;

/* Does the table have this key at all? The functions below take only those. */
bool setting_has_key(const struct gw_settings *settings, const char *key);
const char *setting_text(const struct gw_settings *settings, const char *key);
int64_t setting_number(const struct gw_settings *settings, const char *key);
bool setting_bool(const struct gw_settings *settings, const char *key);
/* Did the file say it (and was it right)? */
bool setting_is_set(const struct gw_settings *settings, const char *key);
/* Position in the file, 0 when it is a default. */
unsigned setting_line(const struct gw_settings *settings, const char *key);

/* Checks one text by its table line: 0 with *ret_number (bool, integer, duration, size; enum: index of the choice), else
 * -EINVAL with the sentence that says what is expected. */
int setting_check(const struct gw_setting *setting, const char *text, int64_t *ret_number, char *why, size_t why_size);
/* "a duration of 1 s to 14 d", "one of a, b, c": for messages and the manual. */
void setting_describe(const struct gw_setting *setting, char *dst, size_t size);

/* A table of a plugin is foreign, too: keys well-formed and unique, defaults fit their own type. -EINVAL with the reason. */
int setting_table_check(const struct gw_setting *table, char *why, size_t why_size);

/* Splits a list value (words separated by blanks or commas). */
int setting_list_split(const char *text, struct str_list *ret_list);
