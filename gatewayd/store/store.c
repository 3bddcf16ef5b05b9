/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/str.h"
#include "store/migrations.h"
#include "store/query.h"
#include "store/store_internal.h"

static const char meta_get_sql[] = "SELECT value FROM meta WHERE key = ?";
static const char meta_put_sql[] = "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
static const char meta_delete_sql[] = "DELETE FROM meta WHERE key = ?";

/* Kept by this folder, not for store_meta_set(). */
static const char *const own_keys[] = { "epoch", "created_ms", "newest_time_ms", "audit_anchor" };

#define CORRUPT_ADVICE "move it away together with its -wal and -shm; gatewayd then starts with an empty store"

/* ---- files */

#define LOCK_TRIES 40
#define LOCK_PAUSE_NS 50000000

/*
 * When a daemon was killed, a child that it was just starting may hold its descriptors for a moment longer (until execve closes them), and the
 * lock with them: so a refusal counts only when it lasts for two seconds.
 */
static int take_lock(int fd) {
        const struct timespec pause = { .tv_nsec = LOCK_PAUSE_NS };

        for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
                if (errno != EWOULDBLOCK || i == LOCK_TRIES)
                        return -errno;
                nanosleep(&pause, NULL);
        }
        return 0;
}

static int lock_store(struct store *store, struct gw_error *err) {
        _cleanup_free_ char *path = NULL;
        int r;

        if (asprintf(&path, "%s.lock", store->path) < 0)
                return -ENOMEM;
        store->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (store->lock_fd < 0) {
                int error = errno;

                gw_error_set(err, "store-failed", "%s: %s", path, strerror(error));
                return -error;
        }
        r = take_lock(store->lock_fd);
        if (r < 0)
                gw_error_set(err, "store-locked", "%s is used by another process; is gatewayd running already?", store->path);
        return r;
}

/* SQLite would make it by the umask; its other files take the mode of this one. */
static int create_file(struct store *store, struct gw_error *err) {
        _cleanup_close_ int fd = open(store->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        int error;

        if (fd >= 0)
                return 0;
        error = errno;
        gw_error_set(err, "store-failed", "%s: %s", store->path, strerror(error));
        return -error;
}

static int sync_folder(const char *path) {
        _cleanup_free_ char *copy = strdup(path);
        _cleanup_close_ int fd = -1;

        if (!copy)
                return -ENOMEM;
        fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || fsync(fd) < 0)
                return -errno;
        return 0;
}

/* The log of a daemon that ended as it should is gone. */
static bool ended_badly(const struct store *store) {
        _cleanup_free_ char *path = NULL;
        struct stat status;

        return asprintf(&path, "%s-wal", store->path) < 0 || (stat(path, &status) == 0 && status.st_size > 0);
}

/* ---- opening */

static int open_error(struct store *store, int code, struct gw_error *err) {
        int error = store_error_number(code);

        if (error == -EUCLEAN)
                gw_error_set(err, "store-corrupt", "%s: %s; " CORRUPT_ADVICE, store->path, sqlite3_errmsg(store->db));
        else
                gw_error_set(err, "store-failed", "%s: %s", store->path, sqlite3_errmsg(store->db));
        return error < 0 ? error : -EIO;
}

static int run(struct store *store, const char *sql, struct gw_error *err) {
        int code = sqlite3_exec(store->db, sql, NULL, NULL, NULL);

        return code == SQLITE_OK ? 0 : open_error(store, code, err);
}

static int ask_int(struct store *store, const char *sql, int64_t *ret_value, struct gw_error *err) {
        sqlite3_stmt *statement = NULL;
        int code = sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL);

        if (code == SQLITE_OK)
                code = sqlite3_step(statement);
        if (code == SQLITE_ROW)
                *ret_value = sqlite3_column_int64(statement, 0);
        sqlite3_finalize(statement);
        return code == SQLITE_ROW ? 0 : open_error(store, code, err);
}

static int connect_database(struct store *store, struct gw_error *err) {
        int code;

        code = sqlite3_open_v2(store->path, &store->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
        if (code != SQLITE_OK)
                return open_error(store, code, err);
        sqlite3_extended_result_codes(store->db, 1);
        sqlite3_busy_timeout(store->db, STORE_BUSY_TIMEOUT_MS);
        sqlite3_db_config(store->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        sqlite3_db_config(store->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
        return 0;
}

/* The journal mode is written into the file: only after it is known to be ours. */
static int set_modes(struct store *store, struct gw_error *err) {
        return run(store,
                   "PRAGMA page_size = 1024; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;"
                   "PRAGMA cache_size = -512; PRAGMA temp_store = MEMORY; PRAGMA journal_size_limit = 8388608;",
                   err);
}

static int check_whole(struct store *store, struct gw_error *err) {
        _cleanup_query_ struct query query = { 0 };
        const char *text;
        int r;

        query_begin(&query, store, "PRAGMA quick_check(1)");
        r = query_next(&query);
        text = r > 0 ? query_read_lent(&query) : NULL;
        if (text && strcmp(text, "ok") == 0)
                return 0;
        gw_error_set(err, "store-corrupt", "%s: %s; " CORRUPT_ADVICE, store->path, text ? text : sqlite3_errmsg(store->db));
        return -EUCLEAN;
}

static int migrate(struct store *store, size_t from, struct gw_error *err) {
        for (size_t n = from; n < n_store_migrations; n++) {
                _cleanup_free_ char *sql = NULL;
                int r;

                if (asprintf(&sql, "BEGIN EXCLUSIVE; %s PRAGMA application_id = %d; PRAGMA user_version = %zu; COMMIT;",
                             store_migrations[n], STORE_APPLICATION_ID, n + 1) < 0)
                        return -ENOMEM;
                r = run(store, sql, err);
                if (r < 0) {
                        sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
                        gw_error_prefix(err, "migration to schema %zu", n + 1);
                        return r;
                }
        }
        return 0;
}

/* Is it ours, and of which version? */
static int check_schema(struct store *store, size_t *ret_version, struct gw_error *err) {
        int64_t version = 0, application = 0, n_tables = 0;
        int r;

        r = ask_int(store, "PRAGMA user_version", &version, err);
        if (r >= 0)
                r = ask_int(store, "PRAGMA application_id", &application, err);
        if (r >= 0)
                r = ask_int(store, "SELECT count(*) FROM sqlite_master", &n_tables, err);
        if (r < 0)
                return r;
        if (n_tables > 0 && application != STORE_APPLICATION_ID) {
                gw_error_set(err, "store-corrupt", "%s is a database of another program; " CORRUPT_ADVICE, store->path);
                return -EUCLEAN;
        }
        if (version < 0 || (uint64_t) version > n_store_migrations) {
                gw_error_set(err, "store-newer",
                             "%s has schema %" PRId64
                             ", this gatewayd knows up to %zu; install the newer gatewayd again, or move the file away",
                             store->path, version, n_store_migrations);
                return -EPROTONOSUPPORT;
        }
        *ret_version = version;
        return 0;
}

/* ---- meta */

int store_meta_put(struct store *store, const char *key, const char *value) {
        _cleanup_query_ struct query query = { 0 };

        query_begin_write(&query, store, meta_put_sql);
        query_bind_text(&query, key);
        query_bind_text(&query, value);
        return query_run(&query);
}

int store_meta_put_int(struct store *store, const char *key, int64_t value) {
        char text[24];

        snprintf(text, sizeof text, "%" PRId64, value);
        return store_meta_put(store, key, text);
}

int store_meta_get(struct store *store, const char *key, char **ret_value) {
        _cleanup_query_ struct query query = { 0 };
        _cleanup_free_ char *value = NULL;
        int r;

        query_begin(&query, store, meta_get_sql);
        query_bind_text(&query, key);
        r = query_next(&query);
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        query_read_text(&query, &value);
        r = query_end(&query);
        if (r < 0)
                return r;
        *ret_value = TAKE_PTR(value);
        return 0;
}

int store_meta_set(struct store *store, const char *key, const char *value) {
        _cleanup_query_ struct query query = { 0 };

        for (size_t i = 0; i < ARRAY_SIZE(own_keys); i++)
                if (strcmp(own_keys[i], key) == 0)
                        return -EINVAL;
        if (value)
                return store_meta_put(store, key, value);
        query_begin_write(&query, store, meta_delete_sql);
        query_bind_text(&query, key);
        return query_run(&query);
}

static int meta_get_int(struct store *store, const char *key, int64_t *ret_value) {
        _cleanup_free_ char *text = NULL;
        int r = store_meta_get(store, key, &text);

        return r < 0 ? r : str_parse_int64(text, INT64_MIN, INT64_MAX, ret_value);
}

static int make_identity(struct store *store, int64_t now_wall_ms) {
        uint8_t random[(STORE_EPOCH_SIZE - 1) / 2];
        char epoch[STORE_EPOCH_SIZE];
        int r;

        if (getrandom(random, sizeof random, 0) != sizeof random)
                return -EIO;
        r = str_hex_encode(epoch, sizeof epoch, random, sizeof random);
        if (r >= 0)
                r = store_meta_put(store, "epoch", epoch);
        if (r >= 0)
                r = store_meta_put_int(store, "created_ms", now_wall_ms);
        if (r >= 0)
                r = store_meta_put_int(store, "newest_time_ms", 0);
        return r;
}

static int load_identity(struct store *store, int64_t now_wall_ms) {
        _cleanup_free_ char *epoch = NULL;
        int r;

        r = store_meta_get(store, "epoch", &epoch);
        if (r == -ENOENT) {
                r = make_identity(store, now_wall_ms);
                if (r >= 0)
                        r = store_meta_get(store, "epoch", &epoch);
        }
        if (r >= 0)
                r = str_copy(store->epoch, sizeof store->epoch, epoch);
        if (r >= 0)
                r = meta_get_int(store, "created_ms", &store->created_ms);
        if (r >= 0)
                r = meta_get_int(store, "newest_time_ms", &store->newest_time_ms);
        store->written_time_ms = store->newest_time_ms;
        return r;
}

static int load_tables(struct store *store, int64_t now_wall_ms, struct gw_error *err) {
        int r;

        r = load_identity(store, now_wall_ms);
        if (r >= 0)
                r = event_table_load(store);
        if (r >= 0)
                r = audit_table_load(store);
        if (r < 0)
                gw_error_set(err, r == -EUCLEAN || r == -EINVAL ? "store-corrupt" : "store-failed", "%s: reading it: %s", store->path,
                             strerror(-r));
        return r;
}

static int open_log(struct store *store, struct gw_error *err) {
        _cleanup_free_ char *path = NULL;
        int r;

        if (asprintf(&path, "%s-wal", store->path) < 0)
                return -ENOMEM;
        store->log_fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        r = store->log_fd < 0 ? -errno : sync_folder(store->path);
        if (r < 0)
                gw_error_set(err, "store-failed", "%s: %s", path, strerror(-r));
        return r;
}

static int open_all(struct store *store, const struct store_options *options, struct gw_error *err) {
        size_t version = 0;
        bool check;
        int r;

        r = lock_store(store, err);
        if (r >= 0)
                r = create_file(store, err);
        if (r < 0)
                return r;
        check = ended_badly(store);
        r = connect_database(store, err);
        if (r >= 0 && check)
                r = check_whole(store, err);
        if (r >= 0)
                r = check_schema(store, &version, err);
        if (r >= 0)
                r = set_modes(store, err);
        if (r >= 0)
                r = migrate(store, version, err);
        if (r < 0)
                return r;
        store_turn_start(store);
        r = load_tables(store, options->now_wall_ms, err);
        if (r >= 0)
                r = open_log(store, err);
        if (r < 0)
                return r;
        r = store_flush(store);
        if (r >= 0)
                r = store_turn_attach(store);
        if (r < 0)
                gw_error_set(err, "store-failed", "%s: %s", store->path, strerror(-r));
        return r;
}

int store_open(struct loop *loop, const struct store_options *options, struct store **ret_store, struct gw_error *err) {
        _cleanup_store_ struct store *store = NULL;
        int r;

        assert(options->path && options->sha256);
        store = calloc(1, sizeof *store);
        if (!store)
                return -ENOMEM;
        store->loop = loop;
        store->lock_fd = store->log_fd = -1;
        store->sha256 = options->sha256;
        store->events.kept = options->events_kept ? options->events_kept : EVENTS_KEPT_MAX;
        list_init(&store->waits);
        store->path = strdup(options->path);
        if (!store->path)
                return -ENOMEM;
        r = open_all(store, options, err);
        if (r < 0)
                return r;
        *ret_store = TAKE_PTR(store);
        return 0;
}

void store_free(struct store *store) {
        if (!store)
                return;
        if (store->log_fd >= 0)
                store_turn_stop(store);
        for (size_t i = 0; i < store->n_statements; i++)
                sqlite3_finalize(store->statements[i].statement);
        event_table_unload(store);
        sqlite3_close(store->db);
        if (store->log_fd >= 0)
                close(store->log_fd);
        if (store->lock_fd >= 0)
                close(store->lock_fd);
        free(store->path);
        free(store);
}

/* ---- facts */

const char *store_epoch(const struct store *store) {
        return store->epoch;
}

int64_t store_created_ms(const struct store *store) {
        return store->created_ms;
}

int64_t store_newest_time_ms(const struct store *store) {
        return store->newest_time_ms;
}

void store_note_time(struct store *store, int64_t wall_ms) {
        store->newest_time_ms = MAX(store->newest_time_ms, wall_ms);
}

void store_statistics(const struct store *store, struct store_statistics *ret_statistics) {
        *ret_statistics = store->statistics;
        ret_statistics->log_size_bytes = (uint64_t) store->log_frames * STORE_FRAME_SIZE;
}

int store_size(const struct store *store, uint64_t *ret_bytes) {
        struct stat database, log;

        if (stat(store->path, &database) < 0 || fstat(store->log_fd, &log) < 0)
                return -errno;
        *ret_bytes = (uint64_t) database.st_size + (uint64_t) log.st_size;
        return 0;
}
