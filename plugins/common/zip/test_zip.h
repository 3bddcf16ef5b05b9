/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * For tests only: writes zip archives byte by byte, also ones that no packer would write. Ends the process when out of memory.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct test_entry {
        const char *name;
        size_t name_size; /* 0 = strlen(name) */
        const void *data;
        size_t size;
        bool deflated;   /* as deflate blocks that are not compressed */
        uint16_t method; /* instead of what the data is packed by */
        uint16_t flags;
        uint16_t mode;          /* of Unix */
        const char *local_name; /* in the local header, where it is to differ */
        uint32_t crc_change;    /* is added to the right one */
        uint32_t size_change;   /* is added to the right unpacked size, in both headers */
        bool on_previous;       /* shares the bytes of the entry before it */
};

/* The caller frees. */
uint8_t *test_zip_make(const struct test_entry *entries, size_t n_entries, size_t *ret_size);

/* One entry of `size` zeros, really deflated by libzip. */
uint8_t *test_zip_bomb(const char *name, size_t size, size_t *ret_size);
