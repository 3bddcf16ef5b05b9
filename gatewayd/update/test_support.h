/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The whole of update/ over the real store, fleet, artifact cache and loop; only the driver and the format are the test's own. A
 * toy device has a running and a stored image; its driver's steps end at once, or as the toy says. Everything asserts.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>
#undef fail /* struct gw_run_api has one */

#include "base/str.h"
#include "update/internal.h"

#define TOYS 40 /* at most; a test has fixture.n_toys */

struct toy {
        char running[GW_VERSION_MAX], stored[GW_VERSION_MAX];
        bool absent;        /* connect waits for not-seen */
        int n_again;        /* upload fails so often in a passing way */
        const char *fails;  /* upload fails for good with this name */
        const char *model;  /* learned by connect */
        const char *hold;   /* this step does not end by itself */
        const char *waits_in;      /* this step ends with a wait, behind what it does first */
        bool waits_without_wake;   /* connect does, as no driver should */
        int64_t upload_ms;         /* how long an upload takes; a stopped one goes on where it was */
        int64_t uploaded_ms;
        int64_t duration_ms;       /* what the driver's plan says a job takes; 0 it cannot say */
        int battery_percent, rssi_dbm; /* learned by connect; 0: nothing is said */
        int n_uploads, n_activations, n_entered, n_cancels;
};

struct toy_run {
        struct gw_run *run;
        struct toy *toy;
        const char *held;   /* the step that is held */
        struct timer *timer; /* its upload is under way */
        int64_t since_ms;
};

struct fixture {
        char folder[64];
        struct loop *loop;
        struct loop_signal *keep_alive; /* as in the daemon: a loop that always has something to wait for */
        struct loop_hook *hook;         /* a turn never sleeps, so that the test looks after each */
        struct settings *settings;
        struct store *store;
        struct driver_registry *registry;
        struct fleet *fleet;
        struct artifacts *artifacts;
        struct update *update;
        struct clock_fake clock;
        bool is_virtual; /* its loop, too: weeks pass at once. Then the driver also has a step "mark" before "activate", which resets */
        bool clock_is_wrong; /* and known to be so */
        void (*watch)(int toy, const char *step); /* a step that touches the device begins; NULL nobody */
        int n_toys;
        struct toy toys[TOYS];
        struct toy_run *held[TOYS];
        int n_running, n_running_most;
        uint8_t sha256[DIGEST_SIZE];
        uint64_t size;
        struct json *result;
        struct gw_error error;
        struct json_errors mistakes;
        bool replied;
        char events[65536];
        bool stopped;
};

extern struct fixture fixture;
extern const struct update_actor actor;

void wait_for(bool *flag);
void close_all(void);
void open_all(void);
void import_version(const char *version);
void on_reply(void *ctx, struct json *result, const struct gw_error *err, const struct json_errors *mistakes);
struct json *document(const char *id, int revision, const char *devices, const char *policy);
void start(const char *id, int revision, const char *devices, const char *policy);
void run_until_event(const char *word);
struct json *job_of(const char *campaign, const char *device);
void expect_job(const char *campaign, const char *device, const char *state, const char *detail);
void run_until_job(const char *campaign, const char *device, const char *reason);
void run_until_held(int toy);
void restart(void);
/* Eight toys, d0 to d7, two without a model, on the time of the world. */
int set_up(void **state);
/* Thirty toys with a model on a virtual loop; each upload takes a minute. */
int set_up_virtual(void **state);
/* The daemon reads another gatewayd.conf: `more` behind the one of the start. */
void set_settings(const char *more);
int tear_down(void **state);
