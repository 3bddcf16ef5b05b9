/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The step engine: leads one device through one operation of its driver, once. It is the context that a step is handed
 * (struct gw_run of plugin.h) and knows neither store nor campaigns: whoever wants a run is its owner and gives the callbacks
 * of struct run_owner.
 *
 *     run_new -> run_start -> [prepare steps] -> owner.prepared -> (journal -> step)* -> owner.ended -> run_free
 *
 * A run ends when its device is done with, but also when it waits, is to be tried again or was stopped: then the driver's
 * context is freed and the owner makes a new run when the time has come, which is entered at the journaled step.
 */

#include <gatewayd/plugin.h>

#include "loop/loop.h"

enum run_end_kind {
        RUN_END_DONE,
        RUN_END_WAIT,    /* error.name is the reason */
        RUN_END_AGAIN,   /* error says what passed by */
        RUN_END_FAIL,    /* error */
        RUN_END_STOPPED, /* as asked by run_stop() */
};

struct run_end {
        enum run_end_kind kind;
        enum gw_result result;
        enum gw_proof proof;
        uint32_t wakes;
        int64_t delay_ms;
        bool rejected; /* RUN_END_FAIL from owner.prepared: nothing was sent */
        struct gw_error error;
};

/* All callbacks come from the loop, never from inside a function of this header, but for the small ones marked "inside". */
struct run_owner {
        /* All preparing steps are over and something is about to be changed. < 0 with err: of class WAIT the run waits, else it is
         * rejected. inside. */
        int (*prepared)(void *ctx, struct gw_run *run, struct gw_error *err);
        /* Make `step`, run_blob() and the attempt durable, then call run_journaled(), later. NULL: nothing is journaled. */
        void (*journal)(void *ctx, struct gw_run *run, const char *step);
        /* Make the point of no return durable, then call run_journaled(), later. */
        void (*commit)(void *ctx, struct gw_run *run);
        /* Make run_blob() durable some time soon. inside. */
        void (*checkpoint)(void *ctx, struct gw_run *run);
        void (*progress)(void *ctx, struct gw_run *run, uint64_t done, uint64_t total);      /* inside */
        void (*entered)(void *ctx, struct gw_run *run, const char *step);                    /* inside; also of preparing steps */
        void (*note)(void *ctx, struct gw_run *run, const char *text);                       /* inside */
        void (*target)(void *ctx, struct gw_run *run, const struct gw_target *target);       /* inside */
        void (*learned)(void *ctx, struct gw_run *run, const struct gw_facts *facts);        /* inside */
        /* The driver's context is gone. The owner may free the run from here. */
        void (*ended)(void *ctx, struct gw_run *run, const struct run_end *end);
};

struct run_options {
        struct loop *loop;
        const struct gw_driver *driver;
        void *instance; /* of the driver */
        enum gw_operation_kind operation;
        const struct gw_device *device;
        const struct gw_order *order; /* NULL unless update; lives as long as the run */
        const char *campaign;         /* for logs, NULL none; copied */
        const char *device_id;        /* for logs; lives as long as the run */
        const char *resume_step;      /* copied */
        const void *blob;             /* copied */
        size_t blob_size;
        uint32_t attempt;
        bool committed;
        const struct run_owner *owner;
        void *owner_ctx;
};

/* -ENOTSUP: the driver does not offer the operation. */
int run_new(const struct run_options *options, struct gw_run **ret_run);
/* Only before run_start() and from or after owner.ended. */
void run_free(struct gw_run *run);

int run_start(struct gw_run *run, struct gw_error *err);
/* Asks the run to stop; owner.ended follows (STOPPED, or another end that came first), for SHUTDOWN within RUN_STOP_GRACE_MS. Behind the point
 * of no return (or while it is written down) CANCEL and PAUSE are refused with -EBUSY. A graver reason replaces a lighter one: PAUSE, CANCEL,
 * SHUTDOWN. */
int run_stop(struct gw_run *run, enum gw_stop_reason reason);
/* The answer to owner.journal and owner.commit. r < 0: the store failed, the run ends AGAIN with store-failed. */
void run_journaled(struct gw_run *run, int r);

/* May a job that was journaled at this step be ended without a further run? Not behind its last resumable step: a device on trial has to
 * be reset by the driver. true for a step that the driver does not know. */
bool run_step_is_resumable(const struct gw_driver *driver, enum gw_operation_kind operation, const char *step);

const struct gw_run_api *run_api(void);
const void *run_blob(const struct gw_run *run, size_t *ret_size);
bool run_is_committed(const struct gw_run *run);
const char *run_step_name(const struct gw_run *run); /* "" before the first */
const char *run_campaign(const struct gw_run *run);
const char *run_device_id(const struct gw_run *run);
void *run_owner_ctx(const struct gw_run *run);

#define RUN_STOP_GRACE_MS 4000
#define RUN_CHECKPOINT_MS 60000
