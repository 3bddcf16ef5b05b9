/* SPDX-License-Identifier: Apache-2.0 */
#include "store/device_table.h"

#include "store/query.h"

#define COLUMNS                                                                                                                            \
        "id, adopted, name, model_adopted, model_stated, labels, address_adopted, address_seen, version, images, attributes,"              \
        " rssi_dbm, battery_percent, first_seen_ms, last_seen_ms, last_job_id, last_result, last_error, last_result_ms"

static const char put_sql[] =
        "INSERT INTO device (" COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET adopted = excluded.adopted, name = excluded.name, model_adopted = excluded.model_adopted,"
        " model_stated = excluded.model_stated, labels = excluded.labels, address_adopted = excluded.address_adopted,"
        " address_seen = excluded.address_seen, version = excluded.version, images = excluded.images,"
        " attributes = excluded.attributes, rssi_dbm = excluded.rssi_dbm, battery_percent = excluded.battery_percent,"
        " first_seen_ms = excluded.first_seen_ms, last_seen_ms = excluded.last_seen_ms, last_job_id = excluded.last_job_id,"
        " last_result = excluded.last_result, last_error = excluded.last_error, last_result_ms = excluded.last_result_ms";
static const char set_last_seen_sql[] = "UPDATE device SET last_seen_ms = ?, rssi_dbm = ? WHERE id = ?";
static const char delete_sql[] = "DELETE FROM device WHERE id = ?";
static const char fetch_sql[] = "SELECT " COLUMNS " FROM device WHERE id = ?";
static const char each_sql[] = "SELECT " COLUMNS " FROM device ORDER BY id";

void device_row_clear(struct device_row *row) {
        free(row->id);
        free(row->name);
        free(row->model_adopted);
        free(row->model_stated);
        free(row->labels);
        free(row->address_adopted);
        free(row->address_seen);
        free(row->version);
        free(row->images);
        free(row->attributes);
        free(row->last_result);
        free(row->last_error);
        *row = (struct device_row){ 0 };
}

static void read_row(struct query *query, struct device_row *row) {
        *row = (struct device_row){ 0 };
        query_read_text(query, &row->id);
        row->adopted = query_read_int(query);
        query_read_text(query, &row->name);
        query_read_text(query, &row->model_adopted);
        query_read_text(query, &row->model_stated);
        query_read_text(query, &row->labels);
        query_read_text(query, &row->address_adopted);
        query_read_text(query, &row->address_seen);
        query_read_text(query, &row->version);
        query_read_text(query, &row->images);
        query_read_text(query, &row->attributes);
        row->rssi_dbm = query_read_int(query);
        row->battery_percent = query_read_int(query);
        row->first_seen_ms = query_read_int(query);
        row->last_seen_ms = query_read_int(query);
        row->last_job_id = query_read_int(query);
        query_read_text(query, &row->last_result);
        query_read_text(query, &row->last_error);
        row->last_result_ms = query_read_int(query);
}

int device_table_put(struct store *store, const struct device_row *row) {
        _cleanup_query_ struct query query = { 0 };

        query_begin_write(&query, store, put_sql);
        query_bind_text(&query, row->id);
        query_bind_int(&query, row->adopted);
        query_bind_text(&query, row->name);
        query_bind_text(&query, row->model_adopted);
        query_bind_text(&query, row->model_stated);
        query_bind_text(&query, row->labels);
        query_bind_text(&query, row->address_adopted);
        query_bind_text(&query, row->address_seen);
        query_bind_text(&query, row->version);
        query_bind_text(&query, row->images);
        query_bind_text(&query, row->attributes);
        query_bind_int(&query, row->rssi_dbm);
        query_bind_int(&query, row->battery_percent);
        query_bind_int(&query, row->first_seen_ms);
        query_bind_int(&query, row->last_seen_ms);
        query_bind_int(&query, row->last_job_id);
        query_bind_text(&query, row->last_result);
        query_bind_text(&query, row->last_error);
        query_bind_int(&query, row->last_result_ms);
        return query_run(&query);
}

int device_table_set_last_seen(struct store *store, const char *id, int64_t last_seen_ms, int64_t rssi_dbm) {
        _cleanup_query_ struct query query = { 0 };

        query_begin_write(&query, store, set_last_seen_sql);
        query_bind_int(&query, last_seen_ms);
        query_bind_int(&query, rssi_dbm);
        query_bind_text(&query, id);
        return query_run_one(&query);
}

int device_table_delete(struct store *store, const char *id) {
        _cleanup_query_ struct query query = { 0 };

        query_begin_write(&query, store, delete_sql);
        query_bind_text(&query, id);
        return query_run_one(&query);
}

int device_table_fetch(struct store *store, const char *id, struct device_row *ret_row) {
        _cleanup_device_row_ struct device_row row = { 0 };
        _cleanup_query_ struct query query = { 0 };
        int r;

        query_begin(&query, store, fetch_sql);
        query_bind_text(&query, id);
        r = query_next(&query);
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        read_row(&query, &row);
        r = query_end(&query);
        if (r < 0)
                return r;
        *ret_row = row;
        row = (struct device_row){ 0 };
        return 0;
}

int device_table_each(struct store *store, int (*found)(void *ctx, struct device_row *row), void *ctx) {
        _cleanup_query_ struct query query = { 0 };
        int r;

        query_begin(&query, store, each_sql);
        while ((r = query_next(&query)) > 0) {
                _cleanup_device_row_ struct device_row row = { 0 };

                read_row(&query, &row);
                r = query.error < 0 ? query.error : found(ctx, &row);
                if (r < 0)
                        return r;
        }
        return r;
}
