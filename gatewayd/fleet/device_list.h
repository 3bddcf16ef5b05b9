/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Lists of devices that people write: the adoption list and `device import`. Two forms, told apart by the first line:
 *
 *     id,name,model,labels,address                    a header: these columns in any order, id is mandatory
 *     smp-udp:kitchen,"Kitchen, left","acme,sensor-r2",sensor kitchen,192.0.2.7:1337
 *
 *     smp-udp:kitchen                                 no header: one id a line
 *
 * RFC 4180 quoting (a doubled quote within quotes; no line break within a field). Empty lines and lines that begin with "#"
 * are skipped. labels are separated by blanks. An empty field states nothing. Every mistake is reported with line and column
 * (of the field, counted from 1); the reader goes on behind it. Knows the form only, not which drivers exist.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "base/str_list.h"

struct device_list_entry {
        char id[STR_DEVICE_ID_SIZE];
        char *name;    /* NULL: not stated */
        char *model;   /* likewise */
        char *address; /* likewise */
        struct str_list labels;
        bool labels_stated;
        unsigned line;
        unsigned id_column;
};

struct device_list {
        struct device_list_entry *entries;
        size_t n_entries;
};

/* Called for every mistake; column 0: the line as a whole. */
typedef void (*device_list_mistake)(void *ctx, unsigned line, unsigned column, const char *text);

/* *ret_list holds what could be read even with mistakes; *ret_list is freed with device_list_free(). -ENOMEM. */
int device_list_parse(const char *text, size_t size, device_list_mistake mistake, void *ctx, struct device_list **ret_list);
void device_list_free(struct device_list *list);
DEFINE_CLEANUP(struct device_list *, device_list_free);
