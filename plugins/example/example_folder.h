/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A folder as a device: what lies in `firmware` is what it runs, `firmware.new` is its second slot. Every function may block and
 * runs on a pool thread; it touches nothing but its struct folder_work. 0 or negative errno.
 */

#include <gatewayd/plugin.h>

#include "example_format.h"

#define FOLDER_FOUND_MAX 64 /* folders that one scan reports */
#define FOLDER_PATH_MAX 1024

struct folder_work {
        char folder[FOLDER_PATH_MAX];
        int fd;                   /* of the artifact, owned; -1 none */
        uint64_t offset, size;    /* where in fd the image lies */
        uint64_t at;              /* bytes of the image that are written */
        size_t slice;             /* bytes written by one call */
        struct example_file file; /* what was read; size 0: there is no such file */
        char found[FOLDER_FOUND_MAX][GW_KEY_MAX + 1];
        size_t n_found;
};

int folder_look(struct folder_work *work);     /* is it there? */
int folder_read(struct folder_work *work);     /* `firmware` into `file` */
int folder_read_new(struct folder_work *work); /* `firmware.new` into `file` */
int folder_copy(struct folder_work *work);     /* the next slice into `firmware.new`, down to the disk; moves `at` */
int folder_rename(struct folder_work *work);   /* `firmware.new` becomes `firmware` */
int folder_scan(struct folder_work *work);     /* which of the folders in it hold a `firmware`? into `found` */
