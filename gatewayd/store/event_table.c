/* SPDX-License-Identifier: Apache-2.0 */
#include "store/event_table.h"

#include <string.h>

#include "store/query.h"
#include "store/store_internal.h"

#define TRIM_AT 64   /* rows that may go are deleted in lots of this size, so that not every commit touches the oldest pages */
#define TRIM_MAX 512 /* rows deleted by one commit */

static const char append_sql[] =
        "INSERT INTO event (seq, time_ms, credible, type, campaign, revision, device, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
static const char each_sql[] =
        "SELECT seq, time_ms, credible, type, campaign, revision, device, body FROM event WHERE seq >= ? ORDER BY seq LIMIT ?";
static const char range_sql[] = "SELECT coalesce(min(seq), 0), coalesce(max(seq), 0) FROM event";
static const char trim_sql[] = "DELETE FROM event WHERE seq <= ?";
static const char doors_sql[] = "SELECT name, cursor FROM door ORDER BY name";
static const char door_put_sql[] =
        "INSERT INTO door (name, cursor) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET cursor = excluded.cursor";
static const char door_delete_sql[] = "DELETE FROM door WHERE name = ?";

void event_row_clear(struct event_row *row) {
        free(row->type);
        free(row->campaign);
        free(row->device);
        free(row->body);
        *row = (struct event_row){ 0 };
}

/* ---- state in memory */

static int load_range(struct store *store) {
        _cleanup_query_ struct query query = { 0 };
        int r;

        query_begin(&query, store, range_sql);
        r = query_next(&query);
        if (r <= 0)
                return r < 0 ? r : -EUCLEAN;
        store->events.oldest = query_read_int(&query);
        store->events.newest = query_read_int(&query);
        return 0;
}

int event_table_load(struct store *store) {
        _cleanup_query_ struct query query = { 0 };
        struct store_events *events = &store->events;
        int r;

        r = load_range(store);
        if (r < 0)
                return r;
        query_begin(&query, store, doors_sql);
        while ((r = query_next(&query)) > 0) {
                if (events->n_doors == EVENT_DOORS_MAX)
                        return -EUCLEAN;
                query_read_text(&query, &events->doors[events->n_doors].name);
                if (query.error < 0)
                        return query.error;
                events->doors[events->n_doors++].cursor = query_read_int(&query);
        }
        return r;
}

void event_table_unload(struct store *store) {
        for (size_t i = 0; i < store->events.n_doors; i++)
                free(store->events.doors[i].name);
        store->events.n_doors = 0;
}

static struct store_door *find_door(struct store *store, const char *name) {
        for (size_t i = 0; i < store->events.n_doors; i++)
                if (strcmp(store->events.doors[i].name, name) == 0)
                        return &store->events.doors[i];
        return NULL;
}

/* Of the slowest door; without doors everything counts as delivered. */
static int64_t slowest_cursor(const struct store *store) {
        int64_t cursor = store->events.newest;

        for (size_t i = 0; i < store->events.n_doors; i++)
                cursor = MIN(cursor, store->events.doors[i].cursor);
        return cursor;
}

bool event_table_is_dirty(const struct store *store) {
        for (size_t i = 0; i < store->events.n_doors; i++)
                if (store->events.doors[i].dirty)
                        return true;
        return false;
}

/* ---- before a commit */

static int write_door(struct store *store, struct store_door *door) {
        _cleanup_query_ struct query query = { 0 };
        int r;

        query_begin_write(&query, store, door_put_sql);
        query_bind_text(&query, door->name);
        query_bind_int(&query, door->cursor);
        r = query_run(&query);
        if (r >= 0)
                door->dirty = false;
        return r;
}

static int trim(struct store *store) {
        _cleanup_query_ struct query query = { 0 };
        struct store_events *events = &store->events;
        int64_t last = MIN(slowest_cursor(store), events->newest - (int64_t) events->kept);
        int r;

        if (events->oldest == 0 || last - events->oldest + 1 < TRIM_AT)
                return 0;
        last = MIN(last, events->oldest + TRIM_MAX - 1);
        query_begin_write(&query, store, trim_sql);
        query_bind_int(&query, last);
        r = query_run(&query);
        if (r >= 0)
                events->oldest = last + 1;
        return r;
}

int event_table_before_commit(struct store *store) {
        int r;

        for (size_t i = 0; i < store->events.n_doors; i++) {
                r = store->events.doors[i].dirty ? write_door(store, &store->events.doors[i]) : 0;
                if (r < 0)
                        return r;
        }
        return trim(store);
}

/* ---- rows */

int event_table_append(struct store *store, struct event_row *row) {
        _cleanup_query_ struct query query = { 0 };
        int64_t seq = store->events.newest + 1;
        int r;

        query_begin_write(&query, store, append_sql);
        query_bind_int(&query, seq);
        query_bind_int(&query, row->time_ms);
        query_bind_int(&query, row->credible);
        query_bind_text(&query, row->type);
        query_bind_text(&query, row->campaign);
        query_bind_int(&query, row->revision);
        query_bind_text(&query, row->device);
        query_bind_text(&query, row->body ? row->body : "{}");
        r = query_run(&query);
        if (r < 0)
                return r;
        row->seq = store->events.newest = seq;
        if (store->events.oldest == 0)
                store->events.oldest = seq;
        return 0;
}

int event_table_each(struct store *store, int64_t from, uint32_t limit, int (*found)(void *ctx, struct event_row *row), void *ctx) {
        _cleanup_query_ struct query query = { 0 };
        int r;

        query_begin(&query, store, each_sql);
        query_bind_int(&query, from);
        query_bind_int(&query, limit);
        while ((r = query_next(&query)) > 0) {
                _cleanup_event_row_ struct event_row row = { .seq = query_read_int(&query) };

                row.time_ms = query_read_int(&query);
                row.credible = query_read_int(&query);
                query_read_text(&query, &row.type);
                query_read_text(&query, &row.campaign);
                row.revision = query_read_int(&query);
                query_read_text(&query, &row.device);
                query_read_text(&query, &row.body);
                r = query.error < 0 ? query.error : found(ctx, &row);
                if (r < 0)
                        return r;
        }
        return r;
}

int64_t event_table_oldest(struct store *store) {
        return store->events.oldest;
}

int64_t event_table_newest(struct store *store) {
        return store->events.newest;
}

/* ---- doors */

static bool is_named(const char *const *names, size_t n_names, const char *name) {
        for (size_t i = 0; i < n_names; i++)
                if (strcmp(names[i], name) == 0)
                        return true;
        return false;
}

static int remove_door(struct store *store, size_t index) {
        _cleanup_query_ struct query query = { 0 };
        struct store_events *events = &store->events;
        int r;

        query_begin_write(&query, store, door_delete_sql);
        query_bind_text(&query, events->doors[index].name);
        r = query_run(&query);
        if (r < 0)
                return r;
        free(events->doors[index].name);
        events->doors[index] = events->doors[--events->n_doors];
        return 0;
}

static int add_door(struct store *store, const char *name) {
        struct store_events *events = &store->events;
        struct store_door door = { .cursor = events->oldest ? events->oldest - 1 : 0 };
        int r;

        door.name = strdup(name);
        if (!door.name)
                return -ENOMEM;
        r = write_door(store, &door);
        if (r < 0) {
                free(door.name);
                return r;
        }
        events->doors[events->n_doors++] = door;
        return 0;
}

int event_table_configure_doors(struct store *store, const char *const *names, size_t n_names) {
        int r;

        if (n_names > EVENT_DOORS_MAX)
                return -EINVAL;
        for (size_t i = store->events.n_doors; i-- > 0;) {
                r = is_named(names, n_names, store->events.doors[i].name) ? 0 : remove_door(store, i);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < n_names; i++) {
                r = find_door(store, names[i]) ? 0 : add_door(store, names[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

int event_table_advance(struct store *store, const char *name, int64_t seq) {
        struct store_door *door = find_door(store, name);

        if (!door)
                return -ENOENT;
        if (seq > store->events.newest)
                return -EINVAL;
        if (seq <= door->cursor)
                return 0;
        door->cursor = seq;
        door->dirty = true;
        return 0;
}

int event_table_cursor(struct store *store, const char *name, int64_t *ret_seq) {
        struct store_door *door = find_door(store, name);

        if (!door)
                return -ENOENT;
        *ret_seq = door->cursor;
        return 0;
}

int64_t event_table_undelivered(struct store *store) {
        return store->events.newest - slowest_cursor(store);
}
