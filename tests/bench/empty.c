/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The libraries of the daemon and of its plugins, loaded, initialised and used once, and nothing else: the size below which a program
 * that stands on them cannot come. Says when it is ready, and ends with its standard input.
 */
#include <cbor.h>
#include <curl/curl.h>
#include <json-c/json.h>
#include <openssl/evp.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>
#include <uv.h>
#include <zip.h>

static void nothing(uv_work_t *work) {
        (void) work;
}

static void worked(uv_work_t *work, int status) {
        (void) work;
        (void) status;
}

/* As the daemon's loop: two threads, started by the first work. */
static void use_uv(void) {
        static uv_loop_t loop;
        static uv_work_t work;
        setenv("UV_THREADPOOL_SIZE", "2", 0);
        if (uv_loop_init(&loop) < 0 || uv_queue_work(&loop, &work, nothing, worked) < 0)
                exit(1);
        uv_run(&loop, UV_RUN_DEFAULT);
}

static void use_curl(void) {
        if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || !curl_multi_init())
                exit(1);
}

static void use_sqlite(void) {
        sqlite3 *db;
        if (sqlite3_open(":memory:", &db) != SQLITE_OK ||
            sqlite3_exec(db, "CREATE TABLE t (a); SELECT * FROM t", NULL, NULL, NULL) != SQLITE_OK)
                exit(1);
}

static void use_digest(void) {
        unsigned char digest[EVP_MAX_MD_SIZE];
        unsigned size;
        if (EVP_Digest("", 0, digest, &size, EVP_sha256(), NULL) != 1)
                exit(1);
}

/* The plugins' libraries. */
static void use_formats(void) {
        cbor_item_t *item = cbor_build_uint8(1);
        zip_error_t error;
        zip_source_t *source;
        zip_error_init(&error);
        source = zip_source_buffer_create("", 0, 0, &error);
        if (!item || !source)
                exit(1);
        zip_source_free(source);
        cbor_decref(&item);
}

int main(void) {
        struct json_object *json = json_tokener_parse("{\"a\":1}");
        use_uv();
        use_curl();
        use_sqlite();
        use_digest();
        use_formats();
        (void) sd_notify(0, "STATUS=empty");
        (void) sd_journal_stream_fd("empty", 6, 0);
        json_object_put(json);
        puts("ready");
        fflush(stdout);
        while (getchar() != EOF) {
        }
        return 0;
}
