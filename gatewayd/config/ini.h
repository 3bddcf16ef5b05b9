/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The file format of gatewayd.conf: a small INI dialect. It knows nothing of meanings; every mistake is collected with its
 * line and reading goes on.
 *
 *     # comment            ; comment              (only at the beginning of a line, blanks before it allowed)
 *     [gateway]                                   a section; a second one of that name is a mistake
 *     [device kitchen]                            a section of a kind with a name
 *     key = value                                 blanks around key and value are cut; keys are [a-z0-9_]{1,64}
 *     ports = /dev/ttyACM*                        a line that begins with a blank continues the value above (for lists);
 *         /dev/ttyUSB*                            the pieces are joined by one blank
 *     label = "  two blanks, a # and a \" "       a value in double quotes is taken as it is; \" and \\ are the only escapes
 *     empty =                                     the empty value
 *
 * Text is UTF-8 without control characters other than tab; lines end with \n or \r\n.
 */

#include <stddef.h>

#include "config/config_errors.h"

struct ini_entry {
        char *key;
        char *value;
        unsigned line;
};

struct ini_section {
        char *kind;  /* "device" */
        char *name;  /* "kitchen"; NULL for a plain section */
        char *title; /* "[device kitchen]", for messages */
        unsigned line;
        struct ini_entry *entries;
        size_t n_entries;
};

struct ini {
        char *file; /* as given, for messages */
        struct ini_section *sections;
        size_t n_sections;
};

/* Mistakes go to errors and do not fail the call; *ret_ini holds what could be read. -ENOMEM. */
int ini_parse(const char *file, const char *text, size_t size, struct config_errors *errors, struct ini **ret_ini);
/* Reads the file; -ENOENT when there is none, negative errno when it cannot be read, -EFBIG over CONFIG_FILE_MAX. */
int ini_read(const char *file, struct config_errors *errors, struct ini **ret_ini);

void ini_free(struct ini *ini);
DEFINE_CLEANUP(struct ini *, ini_free);
#define _cleanup_ini_ _cleanup_(ini_freep)

/* name NULL: the plain section. NULL when absent. */
const struct ini_section *ini_section_find(const struct ini *ini, const char *kind, const char *name);
const struct ini_entry *ini_entry_find(const struct ini_section *section, const char *key);
