/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * For the tests of this folder: everything that the daemon has, real, on one loop in a directory of its own, but for the driver and
 * the format, which are the test's; and clients that speak over the real control socket. Everything asserts.
 *
 * Where GW_API_REPLIES names a file, each reply and notification is appended to it as "<method>\t<line>": for the schemas.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/api.h"
#include "api/call.h"
#include "driver/run.h"
#include "base/str.h"
#include "trust/digest.h"
#include "loop/local_socket.h"
#include "loop/test_support.h"

#define TEST_NOW_MS INT64_C(1800000000000)
#define TEST_DEVICES 4 /* toy:d0.. have a section */
#define CLIENT_LINES_MAX 12000

struct client_line {
        struct json *json;
        char method[32]; /* that it answers; "" a notification */
};

struct test_client {
        struct local_connection *connection;
        struct client_line lines[CLIENT_LINES_MAX]; /* as they came */
        size_t n_lines;
        size_t n_read;      /* by client_next_notification() */
        char asked[64][32]; /* method by id */
        int64_t next_id;
        bool closed;
        int why;
};

struct fixture {
        char folder[64];
        struct loop *loop;
        struct settings *settings;
        struct store *store;
        struct driver_registry *registry;
        struct fleet *fleet;
        struct artifacts *artifacts;
        struct update *update;
        struct api *api;
        struct ble *ble; /* NULL: none; test_parts makes it */
        struct clock_fake clock;
        const char *clock_state;
        /* the driver */
        bool hold; /* an update does not end by itself */
        struct gw_run *held;
        const char *unreadable; /* id of a device that does not answer */
        bool scan_never_ends;
        struct {
                void (*done)(void *ctx);
                void *ctx;
        } scans[CALLER_CALLS_MAX]; /* that are not over */
        size_t n_scans;
        /* gateway.reload */
        bool reload_fails;
        bool stopped;
};

extern struct fixture fixture;
/* Further sections of the configuration, NULL for none: to be set before set_up(). */
extern const char *test_settings;
/* What a test has besides, NULL for nothing: opened when there is a loop, closed when only the loop is left. To be set before set_up(). */
struct test_parts {
        void (*open)(void);
        void (*close)(void);
};
extern const struct test_parts *test_parts;

int set_up(void **state);
int tear_down(void **state);
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* Closes the API and opens it again. */
void api_restart(void);

struct test_client *client_new(void);
void client_free(struct test_client *client);
/* Sends a request; params is JSON or NULL. Gives its id. */
int64_t client_ask(struct test_client *client, const char *method, const char *params, int fd);
void client_send(struct test_client *client, const char *line);
/* The reply to an id, waited for; lent. */
struct json *client_reply(struct test_client *client, int64_t id);
/* ask and reply. */
struct json *client_call(struct test_client *client, const char *method, const char *params);
/* The result of a call that must succeed; the name of the error of one that must fail. */
struct json *client_result(struct test_client *client, const char *method, const char *params);
const char *client_error(struct test_client *client, const char *method, const char *params);
/* The next notification, waited for; lent. */
struct json *client_next_notification(struct test_client *client);
size_t client_n_notifications(const struct test_client *client);

/* A line that answers nothing (id null), waited for. */
struct json *client_next_line(struct test_client *client, size_t index);

int64_t number_of(const struct json *json, const char *member);
const char *text_of(const struct json *json, const char *member); /* "" where there is none */

/* An open file with this content, unlinked. */
int file_with(const char *content);
/* Imports it; its digest to hex. */
void import_file(struct test_client *client, const char *content, char hex[DIGEST_HEX_SIZE]);
/* A campaign document for these devices (JSON) as params of campaign.start. */
void start_params(char *dst, size_t size, const char *id, const char *hex, size_t file_size, const char *devices);
/* Ends the update that is held. */
void let_go(void);
/* Ends every scan. */
void end_scans(void);
