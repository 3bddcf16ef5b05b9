/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Runs a driver's steps as the daemon does, and records what happened: PREPARE steps first, the journal before every other step, the
 * blob durable together with it, waits, attempts, stops. A crash of the daemon is a run that is thrown away and begun again from
 * what was durable. Ends of steps take effect at the next turn of the clock, never from inside.
 */

#include "common/testing/scripted_host.h"

#define SCRIPTED_NOTES_MAX 128
#define SCRIPTED_TARGETS_MAX 16
#define SCRIPTED_PATH_MAX 2048

enum scripted_end {
        SCRIPTED_RUNNING,
        SCRIPTED_DONE,
        SCRIPTED_FAILED, /* by fail, or by again without an attempt left */
        SCRIPTED_STOPPED,
        SCRIPTED_WAITING, /* only with stop_at_wait */
};

/* The handle that the driver sees, by value in the test, which fills the first members and clears the rest. */
struct gw_run {
        struct scripted_host *scripted;
        const struct gw_driver *driver;
        void *driver_ctx; /* from driver->start */
        enum gw_operation_kind operation;
        struct gw_device *device;
        const struct gw_order *order;

        /* What the test asks for. */
        uint32_t attempts_max; /* 0 = 1 */
        bool stop_at_wait;
        const char *crash_at; /* name of a step: crashes once, after the journal, before it is entered */
        bool refuse_commit;   /* committed() fails */

        /* What survives a crash. */
        char journaled[48]; /* "" = none */
        char resumed[48];   /* what was journaled when this attempt began */
        uint8_t durable_blob[GW_BLOB_MAX];
        size_t durable_size;
        bool is_committed;
        char committed_in[48]; /* step in which the point of no return was passed */
        unsigned n_journaled, n_checkpoints;

        /* The attempt. */
        void *ctx;
        uint8_t blob[GW_BLOB_MAX];
        size_t blob_size;
        uint32_t attempt;
        const struct gw_step *step; /* running, NULL between two */
        int64_t step_until_ms;      /* when the daemon would cut it off, which this one does not; INT64_MAX: never */
        bool stop_asked;            /* of this step */
        bool stop_wanted; /* until the run ends: the next step is not entered, or, when only pausing, asked if it is not resumable */
        enum gw_stop_reason stop_reason;
        bool seen_wakes;

        /* What happened. */
        enum scripted_end end;
        enum gw_result result;
        enum gw_proof proof;
        struct gw_error error; /* of fail or again, the newest */
        char reason[48];       /* of the newest wait */
        uint32_t extended_ms;  /* by the newest extend */
        unsigned n_waits, n_crashes;
        char path[SCRIPTED_PATH_MAX]; /* names of all steps that were entered, separated by blanks */
        char notes[SCRIPTED_NOTES_MAX][240];
        size_t n_notes;
        uint64_t progress_done, progress_total;
        struct {
                char key[GW_KEY_MAX + 1];
                enum gw_target_state state;
                enum gw_result result;
                enum gw_proof proof;
                char error[48];
        } targets[SCRIPTED_TARGETS_MAX];
        size_t n_targets;

        /* Inside. */
        struct gw_timer *turn;
        const struct gw_step *next_step;
        int pending;
        int64_t wait_ms;
        void (*commit_done)(void *ctx);
};

extern const struct gw_run_api scripted_run_api;

/* Frees the driver's context, if there is one. */
void scripted_run_deinit(struct gw_run *run);

/* Begins; the first step is entered at the next turn of the clock. */
void scripted_run_begin(struct gw_run *run);
/* Begins and turns the clock until the run ends or `most_ms` are over. */
enum scripted_end scripted_run_whole(struct gw_run *run, int64_t most_ms);
/* Goes on turning. */
enum scripted_end scripted_run_until_end(struct gw_run *run, int64_t most_ms);
/* Turns until this step runs; false when the run ended before or `most_ms` are over. */
bool scripted_run_until_step(struct gw_run *run, const char *step, int64_t most_ms);
/* The daemon dies now and starts again. */
void scripted_run_crash(struct gw_run *run);
/* Asks the running step to stop, as the daemon does, and those after it when it ends otherwise; nothing when none runs. */
void scripted_run_stop(struct gw_run *run, enum gw_stop_reason reason);
/* A stopped or waiting run goes on. */
void scripted_run_continue(struct gw_run *run);

/* Any note that holds these words; NULL. */
const char *scripted_run_note(const struct gw_run *run, const char *words);
