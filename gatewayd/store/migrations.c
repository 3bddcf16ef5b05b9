/* SPDX-License-Identifier: Apache-2.0 */
#include "store/migrations.h"

#include "base/cleanup.h"

/*
 * Events and audit rows are keyed by their number. event needs no AUTOINCREMENT: its newest row always stays, so numbers never come
 * back; that saves a page each time. audit has it, as then the highest number ever given is held a second time.
 */
static const char version_1[] =
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
        "CREATE TABLE campaign ("
        " campaign_id INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, revision INTEGER NOT NULL, digest BLOB NOT NULL,"
        " document TEXT NOT NULL, source TEXT, principal TEXT, state TEXT NOT NULL, reason TEXT,"
        " accepted_ms INTEGER NOT NULL, deadline_ms INTEGER NOT NULL, finished_ms INTEGER NOT NULL DEFAULT 0,"
        " UNIQUE (id, revision));"
        "CREATE TABLE job ("
        " job_id INTEGER PRIMARY KEY, campaign_id INTEGER NOT NULL REFERENCES campaign ON DELETE CASCADE, device TEXT NOT NULL,"
        " artifact BLOB, state TEXT NOT NULL, reason TEXT, step TEXT, attempt INTEGER NOT NULL, committed INTEGER NOT NULL,"
        " stopped INTEGER NOT NULL, blob BLOB, wanted TEXT, result TEXT, proof TEXT, error_name TEXT, error_text TEXT, notes TEXT,"
        " queued_ms INTEGER NOT NULL, started_ms INTEGER NOT NULL, finished_ms INTEGER NOT NULL, not_before_ms INTEGER NOT NULL,"
        " version_before TEXT, version_after TEXT, hash_before TEXT, hash_after TEXT);"
        "CREATE INDEX job_of_campaign ON job (campaign_id);"
        "CREATE TABLE step ("
        " job_id INTEGER NOT NULL REFERENCES job ON DELETE CASCADE, n INTEGER NOT NULL, name TEXT NOT NULL,"
        " attempt INTEGER NOT NULL, entered_ms INTEGER NOT NULL, PRIMARY KEY (job_id, n)) WITHOUT ROWID;"
        "CREATE TABLE target ("
        " job_id INTEGER NOT NULL REFERENCES job ON DELETE CASCADE, key TEXT NOT NULL, state TEXT NOT NULL, result TEXT, proof TEXT,"
        " error_name TEXT, error_text TEXT, PRIMARY KEY (job_id, key)) WITHOUT ROWID;"
        "CREATE TABLE device ("
        " id TEXT NOT NULL UNIQUE, adopted INTEGER NOT NULL, name TEXT, model_adopted TEXT, model_stated TEXT, labels TEXT,"
        " address_adopted TEXT, address_seen TEXT, version TEXT, images TEXT, attributes TEXT, rssi_dbm INTEGER NOT NULL,"
        " battery_percent INTEGER NOT NULL, first_seen_ms INTEGER NOT NULL, last_seen_ms INTEGER NOT NULL,"
        " last_job_id INTEGER NOT NULL, last_result TEXT, last_error TEXT);"
        "CREATE TABLE artifact ("
        " sha256 BLOB PRIMARY KEY, size INTEGER NOT NULL, received INTEGER NOT NULL, complete INTEGER NOT NULL, url TEXT, etag TEXT,"
        " format TEXT, version TEXT, created_ms INTEGER NOT NULL, last_used_ms INTEGER NOT NULL) WITHOUT ROWID;"
        "CREATE TABLE event ("
        " seq INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, credible INTEGER NOT NULL, type TEXT NOT NULL, campaign TEXT,"
        " revision INTEGER NOT NULL, device TEXT, body TEXT NOT NULL);"
        "CREATE TABLE door (name TEXT PRIMARY KEY, cursor INTEGER NOT NULL) WITHOUT ROWID;"
        "CREATE TABLE audit ("
        " seq INTEGER PRIMARY KEY AUTOINCREMENT, time_ms INTEGER NOT NULL, credible INTEGER NOT NULL, door TEXT, principal TEXT,"
        " command TEXT NOT NULL, document_digest BLOB, device TEXT, hash_before TEXT, version_before TEXT, hash_after TEXT,"
        " version_after TEXT, result TEXT, previous BLOB NOT NULL, digest BLOB NOT NULL);";

/* The time of a device's last result, and the way from a device to its jobs and to the jobs that still run. */
static const char version_2[] = "ALTER TABLE device ADD COLUMN last_result_ms INTEGER NOT NULL DEFAULT 0;"
                                "UPDATE device SET last_result_ms = coalesce("
                                " (SELECT finished_ms FROM job WHERE job.job_id = device.last_job_id), 0) WHERE last_result IS NOT NULL;"
                                "CREATE INDEX job_of_device ON job (device);"
                                "CREATE INDEX job_unfinished ON job (job_id) WHERE finished_ms = 0;";

/* Waves, and what a job needs of them and of a way back; who answers for a campaign. */
static const char version_3[] = "ALTER TABLE campaign ADD COLUMN kid TEXT;"
                                "ALTER TABLE campaign ADD COLUMN wave INTEGER NOT NULL DEFAULT 0;"
                                "ALTER TABLE campaign ADD COLUMN wave_ended_ms INTEGER NOT NULL DEFAULT 0;"
                                "ALTER TABLE campaign ADD COLUMN gates_passed INTEGER NOT NULL DEFAULT 0;"
                                "ALTER TABLE campaign ADD COLUMN forgiven_failed INTEGER NOT NULL DEFAULT 0;"
                                "ALTER TABLE campaign ADD COLUMN forgiven_finished INTEGER NOT NULL DEFAULT 0;"
                                "ALTER TABLE job ADD COLUMN wave INTEGER NOT NULL DEFAULT 0;"
                                "ALTER TABLE job ADD COLUMN undecided INTEGER NOT NULL DEFAULT 0;"
                                "ALTER TABLE job ADD COLUMN images_before TEXT;"
                                "ALTER TABLE job ADD COLUMN history TEXT;";

/* What was seen of each key that signs, and which signed commands were carried out. */
static const char version_4[] = "CREATE TABLE signing_key ("
                                " kid TEXT PRIMARY KEY, fingerprint BLOB NOT NULL, newest_iat_s INTEGER NOT NULL) WITHOUT ROWID;"
                                "CREATE TABLE jti ("
                                " kid TEXT NOT NULL, jti TEXT NOT NULL, forget_ms INTEGER NOT NULL, PRIMARY KEY (kid, jti)) WITHOUT ROWID;";

const char *const store_migrations[] = { version_1, version_2, version_3, version_4 };
const size_t n_store_migrations = ARRAY_SIZE(store_migrations);
