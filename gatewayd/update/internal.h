/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the files of update/ share. One file a part of the work:
 *
 *     update.c     life of the whole: load, begin, stop, listeners          campaign.c  states of a campaign, counts, deadline
 *     offer.c      accepting, superseding                                   job.c       states of a job, waits, attempts
 *     command.c    pause, resume, cancel, retry                             job_run.c   the owner of a job's run: journal, ends
 *     package.c    files opened and read by a format, shared                order.c     which file for which device; what is wanted
 *     visit.c      inspection and diagnosis                                 schedule.c  which job starts now
 *     plan.c       dry run                                                  describe.c  JSON of campaigns and jobs
 *     record.c     events and audit                                         verify.c    signatures, claims, refusals
 *     upkeep.c     deletes old rows                                         signed.c    signed campaigns, keys that come and go
 *     rollout.c    from wave to wave; stops itself                           waves.c, abort.c   what it decides by
 *     rollback.c   back to what was before another campaign
 *     hold.c       jitter, maintenance windows, the clock                    start_rule.c       what it decides by
 *
 *     offer -> campaign -> job (queued) -> schedule -> job_run -> driver/run -> job (final) -> campaign (completed)
 *
 * Memory holds the unfinished campaigns with all their jobs and follows the store in the same turn: every change is first made in
 * the rows, effects towards a device or a person wait for store_sync().
 */

#include "base/list.h"
#include "document/campaign.h"
#include "document/names.h"
#include "document/windows.h"
#include "driver/run.h"
#include "fleet/selector.h"
#include "loop/timer.h"
#include "store/campaign_table.h"
#include "store/job_table.h"
#include "trust/keyring.h"
#include "update/update.h"

#define UPDATE_LISTENERS_MAX 8
#define UPDATE_NOTES_MAX 24          /* notes kept of one job */
#define ROLLBACK_CANDIDATES_MAX 64   /* files of the cache that are read for a way back */
#define UPDATE_ERRORS_MAX 256        /* names in one report */
#define UPDATE_HISTORY_MAX 16        /* earlier ends kept of one job */
#define UPDATE_PROGRESS_MS 250       /* between two progress reports of one job */
#define UPDATE_INSPECT_RETRY_MS 30000 /* a device whose model or images are not known is asked again this often */

/* By what a campaign is paused: the word that its reason begins with; more may follow behind ": ". */
enum campaign_pause {
        CAMPAIGN_PAUSE_NONE,
        CAMPAIGN_PAUSE_PERSON,
        CAMPAIGN_PAUSE_THRESHOLD,
        CAMPAIGN_PAUSE_GATE,
        CAMPAIGN_PAUSE_KEY_REVOKED,
        CAMPAIGN_PAUSE_NEEDS_APPROVAL,
};

struct audit_row;
struct offer;
struct package;
struct visit;

/* Somebody who needs a file of the cache, opened and read; see package_get(). */
struct package_user {
        struct list link;
        void (*done)(void *ctx, struct package *package);
        void *ctx;
        struct package *package;
        struct loop_deferral *deferral; /* package.c */
};

/* --- one campaign --- */

struct campaign_file {
        const struct campaign_artifact *artifact;
        struct package_user user; /* user.package: ready when package_is_ready() */
        struct artifact_fetch *fetch;
        struct gw_error error;   /* terminal */
        char waiting[48];        /* reason, "" none */
        bool pinned;
        bool is_candidate; /* of the cache, no matter what it is: rollback.c */
        struct campaign *campaign;
};

struct campaign {
        struct list link; /* update.campaigns */
        struct update *update;
        struct campaign_row row;
        struct campaign_document *document;
        enum campaign_state state;
        struct campaign_file *files; /* of the document, then candidates */
        size_t n_files;
        struct campaign_artifact *candidates;
        struct list jobs;  /* all, struct job.link */
        struct list ready; /* may start as soon as there is room */
        struct list later; /* would be ready, but their wave is not open yet */
        size_t n_jobs, n_unfinished, n_running;
        bool started_any;
        struct timer *deadline_timer, *soak_timer, *hold_timer;
        struct windows *windows;   /* of its policy; NULL none */
        const char *hold;          /* name of what holds it back as a whole; NULL nothing */
        int64_t window_closes_ms;  /* the one that is open; wall clock */
        int64_t longest_window_ms; /* until its deadline; 0: to be found out */
        int64_t jitter_until_ms;   /* monotonic; 0: not known since the start */
        int64_t soak_until_ms; /* monotonic; 0: not known since the start */
        bool look;             /* something happened that its waves and thresholds must see */
        bool has_begun; /* its waves were chosen */
        bool visiting; /* loaded only to be described, or not accepted yet */
        struct offer *offer; /* while it is not accepted */
};

/* --- one job --- */

struct job {
        struct list link;        /* campaign.jobs */
        struct list ready_link;  /* campaign.ready or .later, or update.asking */
        struct list device_link; /* device_work.jobs */
        struct campaign *campaign;
        struct gw_device *device; /* held; NULL when the device is forgotten (finished jobs only) */
        struct job_row row;
        enum job_state state;

        struct gw_run *run;
        struct gw_order *order;
        struct timer *wake_timer;
        uint32_t wakes;         /* enum gw_wake while it waits */
        bool stopping;
        enum job_state stop_state; /* what it becomes when its run has stopped; QUEUED: goes on later */
        bool winding_down;         /* canceled while it waited behind its last resumable step: one more run takes the device back */

        struct json *notes;
        uint64_t progress_done, progress_total; /* bytes of the running step */
        uint64_t progress_from;                 /* where it was at progress_from_ms */
        int64_t progress_from_ms, progress_ms;  /* monotonic; of the last report */
        int64_t progress_rate;                  /* bytes a second since progress_from_ms */
        struct store_wait *journal_wait;
};

/* What update/ keeps with a device (gw_device.work): its jobs in order of acceptance (also finished ones of
 * campaigns that are not), and who has it now. */
struct device_work {
        struct list jobs;
        struct job *running;
        struct visit *visit;
        int64_t inspected_ms; /* monotonic, last automatic inspection; 0 never */
        struct update *update;
        struct gw_device *device;
};

struct update {
        struct update_options options;
        struct list campaigns; /* unfinished, in order of acceptance */
        struct list packages;
        struct list visits;
        struct list asking; /* jobs that wait for their device to be inspected: too many are */
        struct list offers; /* orders on their way in */
        struct list verifications, signed_orders; /* verify.c, signed.c */
        size_t verifying_bytes;
        struct keyring *keyring; /* held; NULL: no keys */
        int64_t refusals_until_ms; /* verify.c: monotonic, when the bucket of refusals is empty */
        uint64_t n_silent_refusals;
        struct list replies; /* answers that wait for a sync */
        struct timer *schedule_timer, *upkeep_timer;
        struct time_zones *zones;
        struct windows *windows; /* of the gateway; NULL none */
        bool begun, stopping;
        void (*stopped)(void *ctx);
        void *stopped_ctx;
        struct timer *stopped_timer;
        size_t n_running; /* runs of jobs */
        size_t n_visiting;
        uint64_t n_finished;
        struct {
                const struct update_listener *listener;
                void *ctx;
        } listeners[UPDATE_LISTENERS_MAX];
        size_t n_listeners;
        int64_t announced_seq; /* events up to here were told to the listeners */
        int64_t durable_seq;   /* up to here by the sync that runs */
        bool announcing;
        struct store_wait *announce_wait;
};

int64_t update_wall_ms(const struct update *update);
bool update_is_credible(const struct update *update);
/* In memory: the highest revision; one row. NULL. */
struct campaign *update_find_campaign(struct update *update, const char *id);
struct campaign *update_find_loaded(struct update *update, int64_t campaign_id);
/* After a run or visit ended while the whole stops. */
void update_check_stopped(struct update *update);

/* --- update.c: answers that wait for the store --- */
/* Takes `result` over. */
int reply_after_sync(struct update *update, struct json *result, update_reply reply, void *ctx);
/* What was refused is in the audit. */
int reply_error_after_sync(struct update *update, const struct gw_error *err, const struct json_errors *mistakes, update_reply reply, void *ctx);
/* Comes later, too. */
int reply_error(struct update *update, const struct gw_error *err, const struct json_errors *mistakes, update_reply reply, void *ctx);
void replies_drop(struct update *update);

/* --- record.c --- */
/* Takes `body` over; NULL = {}. */
int record_event(struct update *update, const char *type, const struct campaign *campaign, const char *device, struct json *body);
int record_command(struct update *update, const struct update_actor *actor, const char *command, const struct campaign *campaign, const char *result);
int record_job(struct update *update, const struct job *job);
/* Sets its time; door, principal, command and result are the caller's. */
int record_audit(struct update *update, struct audit_row *row);
/* Tells listeners of events once they are durable. */
void record_announce(struct update *update);

/* --- package.c --- */
/* A file of the cache, opened and read by the format that recognises it; shared by everybody who needs the same digest. `done` comes
 * once, later, unless package_put() came before. */
int package_get(struct update *update, const uint8_t sha256[DIGEST_SIZE], struct package_user *user);
void package_put(struct package_user *user);
bool package_is_ready(const struct package *package);
const struct gw_error *package_error(const struct package *package); /* NULL when it was read */
const struct gw_package *package_content(const struct package *package);
uint64_t package_size(const struct package *package); /* bytes of the file */
int package_describe(const struct package *package, struct json **ret_json);
bool packages_are_idle(const struct update *update);

/* --- order.c --- */
/* Which file of the campaign is for this device? 0 with *ret_file (NULL in a rollback); -EAGAIN with a waiting reason in err; another
 * negative errno with err when none is. */
int order_choose(const struct campaign *campaign, const struct gw_device *device, struct campaign_file **ret_file, struct gw_error *err);
/* What the job wants of its device; the caller frees it. -EAGAIN with a reason when something is not known yet. */
int order_make(const struct campaign *campaign, const struct gw_device *device, const struct campaign_file *file, const char *wanted,
               struct gw_order **ret_order, struct gw_error *err);
int order_write_wanted(const struct gw_order *order, char **ret_text);
/* The rules that hold between a device as it is now and an order: model and downgrade. As order_choose(). */
int order_check(const struct campaign *campaign, const struct gw_device *device, const struct gw_order *order, const struct campaign_file *file,
                struct gw_error *err);
bool order_driver_takes(const struct campaign *campaign, const struct gw_device *device, const char *format);
const struct gw_image *device_active_image(const struct gw_device *device, uint8_t image);

/* --- update.c: campaigns from the store --- */
/* Takes row over. `visiting`: only to look at; free it afterwards. */
int campaign_load(struct update *update, struct campaign_row *row, bool visiting, struct campaign **ret_campaign);
/* In memory, else loaded to look at (*ret_loaded: campaign_free() it). campaign-unknown. */
int campaign_look(struct update *update, const char *id, int64_t revision, struct campaign **ret_campaign, bool *ret_loaded, struct gw_error *err);

/* Only to look at, without its jobs. Takes row over; campaign_free() it. */
int campaign_look_at_row(struct update *update, struct campaign_row *row, struct campaign **ret_campaign);
/* Only to look at, with this one job. Takes row over; campaign_free() frees both. */
int campaign_look_at_job(struct update *update, struct job_row *row, struct campaign **ret_campaign, struct job **ret_job);

/* --- campaign.c --- */
/* Is the file what the document says of it? */
bool campaign_file_is_as_stated(const struct campaign_file *file, struct gw_error *err);
int campaign_new(struct update *update, struct campaign_row *row, struct campaign_document *document, struct campaign **ret_campaign);
void campaign_free(struct campaign *campaign); /* none of its downloads may be under way */
/* A file that was read while the order came in belongs to the accepted campaign now. */
void campaign_keep_file(struct campaign_file *file);
/* Nothing of it is to be done any more. */
bool campaign_is_over(const struct campaign *campaign);
/* Downloads end later, and tell it: true while one has not, until then the campaign must not be freed. */
bool campaign_stop_fetching(struct campaign *campaign);
/* Opens or fetches the files, unless it is held or its jitter is not over. */
void campaign_begin_files(struct campaign *campaign);
/* Takes in every adopted device that matches and is not in it yet. */
int campaign_take_devices(struct campaign *campaign);
int campaign_take_device(struct campaign *campaign, struct gw_device *device);
/* A job of the campaign `id` updated the device: others may mean it now. */
void campaigns_take_updated(struct update *update, const char *id, struct gw_device *device);
/* A job of the campaign `id` has its end: what takes that campaign back may have waited for it. */
void campaigns_check_dependents(struct update *update, const char *id);
int campaign_set_state(struct campaign *campaign, enum campaign_state state, const char *reason);
/* `detail` (NULL none) says more. */
int campaign_pause(struct campaign *campaign, enum campaign_pause pause, const char *detail);
enum campaign_pause campaign_pause_of(const struct campaign *campaign);
/* What a device took that was updated by it; 0: none was yet. */
int64_t campaign_average_ms(const struct campaign *campaign);
/* A job became final: is the campaign complete? */
void campaign_check_complete(struct campaign *campaign);
void campaign_arm_deadline(struct campaign *campaign);
struct job *campaign_find_job(struct campaign *campaign, const struct gw_device *device);
/* Stops every job as far as it goes: pause (QUEUED), cancel, supersede, deadline. ret_busy gets those that could not be stopped. */
void campaign_stop_jobs(struct campaign *campaign, enum job_state state, struct json *ret_busy);
/* Does the campaign mean this device? ret_member as of fleet_select(). */
enum fleet_selected campaign_select(const struct campaign *campaign, const struct gw_device *device, const char **ret_member);
struct campaign_file *campaign_find_file(struct campaign *campaign, const uint8_t digest[DIGEST_SIZE]); /* NULL */

/* --- job.c --- */
int job_new(struct campaign *campaign, struct gw_device *device, struct job_row *row, struct job **ret_job);
void job_free(struct job *job);
/* undecided: whether the campaign means it will be known when the device was read. */
int job_create(struct campaign *campaign, struct gw_device *device, bool undecided);
/* Queued or waiting: the reason a person sees; wakes again after delay_ms (0 = only by events). */
void job_wait(struct job *job, const char *reason, uint32_t wakes, int64_t delay_ms);
void job_make_ready(struct job *job);
/* Of one that is ready: among those that may start, or that wait for their wave. */
void job_place(struct job *job);
int job_finish(struct job *job, enum job_state state, const struct run_end *end);
int job_finish_error(struct job *job, enum job_state state, const struct gw_error *err);
int job_requeue(struct job *job);
void job_note(struct job *job, const char *text);
/* The whole row, its notes included. */
int job_write(struct job *job);
/* Final at once when no run has it and the device cannot be on trial, else as soon as its run stopped. -EBUSY behind the point of no return. */
int job_stop(struct job *job, enum job_state state);
/* Goes on whatever the state of its campaign is: behind the point of no return, or on its way back from a trial. */
bool job_must_end(const struct job *job);
/* Nothing was begun, or it stands before a step at which a later run can begin again. */
bool job_may_stop(const struct job *job);
/* Goes on in another revision of its campaign, with its run and all that it has. */
int job_move(struct job *job, struct campaign *campaign);
bool job_is_final(const struct job *job);

/* --- rollout.c --- */
size_t rollout_n_waves(const struct campaign *campaign);
bool rollout_is_open(const struct job *job);
/* At acceptance, when its devices are in: who is in which wave. */
int rollout_choose_waves(struct campaign *campaign);
void rollout_begin(struct campaign *campaign);
/* Ends and opens waves, and stops the campaign when it must; nothing unless campaign.look. */
void rollout_look(struct campaign *campaign);
/* Resumed in spite of its thresholds: they count from here. */
int rollout_forgive(struct campaign *campaign);
int rollout_retried(struct campaign *campaign);

/* --- rollback.c --- */
/* Of a campaign with rollback_of, before its files are opened. */
int rollback_add_candidates(struct campaign *campaign);
/* Which images the device ran before, as order_write_wanted() writes them. rollback-image-gone, not-selected. */
int rollback_wanted(const struct campaign *campaign, const struct gw_device *device, char **ret_text, struct gw_error *err);
/* Where they come from: a file, or they lie in the device. -EAGAIN with inventory-unknown; rollback-image-gone. */
int rollback_find_images(const struct campaign *campaign, const struct gw_device *device, struct gw_order *order, struct gw_error *err);
/* What is taken back does not go on. */
void rollback_stop_other(struct campaign *campaign);
/* Something of what it takes back goes on behind its point of no return, and is to come back, too. */
bool rollback_is_awaited(const struct campaign *campaign);

/* --- hold.c --- */
/* timezone-unknown. */
int hold_read_windows(struct campaign *campaign, struct gw_error *err);
void hold_read_gateway_windows(struct update *update);
bool hold_has_windows(const struct campaign *campaign);
struct windows_pair hold_windows(const struct campaign *campaign);
struct windows_state hold_windows_at(const struct campaign *campaign, int64_t wall_ms);
int64_t hold_longest_window_ms(struct campaign *campaign);
int64_t hold_jitter_ms(const struct campaign *campaign);
bool hold_may_fetch(struct campaign *campaign);
/* Sets campaign.hold; when a window closes its jobs are stopped. */
void hold_look(struct campaign *campaign);
/* 0; -EAGAIN with `window`, -EINVAL with `does-not-fit-window`. eta_ms 0: nobody knows. */
int hold_judge_eta(struct campaign *campaign, const struct gw_device *device, int64_t eta_ms, struct gw_error *err);
/* The same for a window as it will be: 0 or -EINVAL. */
int hold_judge_plan(struct campaign *campaign, const struct gw_device *device, int64_t eta_ms, struct gw_error *err);
/* Must the job not enter this step any more in the window that is open? */
bool hold_stops_before(const struct job *job, const char *step);

/* --- plan.c --- */
/* What the driver says of an order. */
int plan_ask_driver(const struct update *update, const struct gw_device *device, const struct gw_order *order, struct gw_plan *ret_plan,
                    struct gw_error *err);

/* --- job_run.c --- */
/* To the listeners, now. */
void job_tell_progress(struct job *job);
int job_run_start(struct job *job, struct gw_error *err);

/* --- schedule.c --- */
void schedule(struct update *update);
struct device_work *device_work(struct update *update, struct gw_device *device);
void device_work_free(struct gw_device *device);
/* The device is nobody's now: jobs that found it busy are ready again. */
void schedule_device_done(struct gw_device *device);
/* A device was heard or changed. */
void schedule_device(struct update *update, struct gw_device *device, enum fleet_event event);

/* --- offer.c --- */
/* Lower revisions of the campaign end; what they had begun for the same end goes on in it. When it is accepted, or approved. */
void offer_supersede(struct campaign *campaign);
void offers_free(struct update *update);

/* --- verify.c, signed.c --- */
void verifications_free(struct update *update);
void signed_orders_free(struct update *update);
/* Remembers from when on the clock was believed, once. */
void signed_note_clock(struct update *update);

/* --- visit.c --- */
int visit_start(struct update *update, struct gw_device *device, enum gw_operation_kind kind, update_reply reply, void *ctx);
/* A device whose job failed with did-not-return is heard: it is read, so that its document says what it runs. */
void visit_returned(struct update *update, struct gw_device *device);
void visits_stop(struct update *update);

/* --- describe.c --- */
/* Adds "error": {name, text, advice} to json. */
void error_describe(const struct update *update, struct json *json, const char *name, const char *text);
/* What a person is told a job waits for; NULL nothing. */
const char *job_reason(const struct job *job);
int campaign_describe(const struct campaign *campaign, struct json **ret_json);
int campaign_describe_report(struct campaign *campaign, struct json **ret_json);
/* With steps and targets as the store has them. */
int job_describe(struct job *job, bool with_steps, struct json **ret_json);
/* The members of a result: {state, result, proof, error, version_before, ...}. */
int job_describe_result(struct job *job, struct json **ret_json);
/* How it ended, in short: {state, result, reason, error, attempt, finished}. */
void job_describe_end(const struct job *job, struct json *json);
struct json *progress_describe(const struct job *job); /* NULL when out of memory */
