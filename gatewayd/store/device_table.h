/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The registry's rows: devices discovered or adopted. A row owns its texts; NULL = not known. fleet/ reads all of them once at
 * start and writes a row when something in it changed. See store.h for transactions and errors.
 */

#include "store/store.h"

struct device_row {
        char *id; /* <driver>:<key> */
        bool adopted;
        char *name;
        char *model_adopted;
        char *model_stated;
        char *labels; /* JSON array */
        char *address_adopted;
        char *address_seen;
        char *version;
        char *images;            /* JSON array */
        char *attributes;        /* JSON object */
        int64_t rssi_dbm;        /* GW_RSSI_UNKNOWN */
        int64_t battery_percent; /* GW_BATTERY_UNKNOWN */
        int64_t first_seen_ms;
        int64_t last_seen_ms;
        int64_t last_job_id; /* 0 = none */
        char *last_result;
        char *last_error;
        int64_t last_result_ms;
};

void device_row_clear(struct device_row *row);
#define _cleanup_device_row_ _cleanup_(device_row_clear)

/* Inserts or replaces by id. */
int device_table_put(struct store *store, const struct device_row *row);
/* Only the time, for a device of which nothing else changed. -ENOENT. */
int device_table_set_last_seen(struct store *store, const char *id, int64_t last_seen_ms, int64_t rssi_dbm);
int device_table_delete(struct store *store, const char *id); /* -ENOENT */
int device_table_fetch(struct store *store, const char *id, struct device_row *ret_row);
/* In order of id. `found` may take texts (TAKE_PTR); must not write to this table. */
int device_table_each(struct store *store, int (*found)(void *ctx, struct device_row *row), void *ctx);
