/* SPDX-License-Identifier: Apache-2.0 */
#include "update/internal.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/str.h"

/* One inspection or diagnosis of a device: a run without a job, nothing of it is journaled. */
struct visit {
        struct list link; /* update.visits */
        struct update *update;
        struct gw_device *device; /* held */
        struct gw_run *run;
        struct json *findings;
        update_reply reply; /* NULL: nobody asked, it is for the inventory */
        void *ctx;
};

static void visit_free(struct visit *visit) {
        struct gw_device *device = visit->device;
        ((struct device_work *) device->work)->visit = NULL;
        device_work_free(device);
        fleet_release(visit->update->options.fleet, device);
        run_free(visit->run);
        json_free(visit->findings);
        list_remove(&visit->link);
        visit->update->n_visiting--;
        free(visit);
}

static void visit_note(void *ctx, struct gw_run *run, const char *text) {
        struct visit *visit = ctx;
        (void) run;
        if (json_length(visit->findings) < UPDATE_NOTES_MAX * 2)
                (void) json_append_string(visit->findings, text);
}

static void visit_learned(void *ctx, struct gw_run *run, const struct gw_facts *facts) {
        struct visit *visit = ctx;
        (void) run;
        (void) fleet_learned(visit->update->options.fleet, visit->device, facts);
}

static void answer(struct visit *visit, const struct run_end *end) {
        struct json *result = json_new_object(), *device = NULL, *outcome;
        struct gw_error err = { 0 };
        if (!visit->reply) {
                json_free(result);
                return;
        }
        if (device_describe(visit->device, &device) >= 0)
                json_set(result, "device", device);
        json_set(result, "findings", json_ref(visit->findings));
        if (end->kind == RUN_END_DONE) {
                outcome = json_set_new_object(result, "result");
                json_set_string(outcome, "result", result_name(end->result));
                json_set_string(outcome, "proof", proof_name(end->proof));
        } else {
                err = end->error;
                if (!gw_error_is_set(&err))
                        gw_error_set(&err, "canceled", "the gateway stops");
                error_describe(visit->update, result, err.name, err.text);
        }
        (void) reply_after_sync(visit->update, result, visit->reply, visit->ctx);
}

static bool is_missed(const struct gw_device *device) {
        return str_equal(device->last_error, "did-not-return");
}

/* It was given up and is back: what was read now stands in its document, and nobody takes it for lost any more. */
static void correct_document(struct visit *visit) {
        struct fleet_job_result result = { .job_id = visit->device->last_job_id,
                                           .result = job_state_name(JOB_STATE_FAILED),
                                           .error = "returned-late",
                                           .time_ms = update_wall_ms(visit->update) };
        struct log_fields fields = { .device = visit->device->id, .error = result.error };
        (void) fleet_result(visit->update->options.fleet, visit->device, &result);
        log_notice(&fields, "%s is back after its deadline and runs %s", visit->device->id, visit->device->version ? visit->device->version : "?");
}

static void visit_ended(void *ctx, struct gw_run *run, const struct run_end *end) {
        struct visit *visit = ctx;
        struct update *update = visit->update;
        struct gw_device *device = visit->device;
        struct log_fields fields = { .device = device->id, .error = end->error.name[0] ? end->error.name : NULL };
        (void) run;
        if (end->kind != RUN_END_DONE && !visit->reply)
                log_info(&fields, "%s could not be read: %s", device->id, end->error.text);
        if (end->kind == RUN_END_DONE && is_missed(device))
                correct_document(visit);
        answer(visit, end);
        fleet_hold(device);
        visit_free(visit);
        schedule_device_done(device);
        fleet_release(update->options.fleet, device);
        schedule(update);
        update_check_stopped(update);
}

static const struct run_owner visit_owner = { .note = visit_note, .learned = visit_learned, .ended = visit_ended };

static int start_run(struct visit *visit, enum gw_operation_kind kind, struct gw_error *err) {
        const struct driver_registry *registry = visit->update->options.registry;
        struct run_options options = { .loop = visit->update->options.loop,
                                       .driver = driver_registry_find(registry, visit->device->driver),
                                       .instance = driver_registry_instance(registry, visit->device->driver),
                                       .operation = kind,
                                       .device = visit->device,
                                       .device_id = visit->device->id,
                                       .attempt = 1,
                                       .owner = &visit_owner,
                                       .owner_ctx = visit };
        int r;
        if (!options.driver || !driver_registry_is_started(registry, visit->device->driver)) {
                gw_error_set(err, "driver-unavailable", "no driver %s is running", visit->device->driver);
                return -ENOENT;
        }
        r = run_new(&options, &visit->run);
        if (r < 0) {
                gw_error_set(err, "not-supported", "driver %s does not offer this", visit->device->driver);
                return r;
        }
        return run_start(visit->run, err);
}

static int begin(struct update *update, struct gw_device *device, struct visit **ret_visit, struct gw_error *err) {
        struct device_work *work = device_work(update, device);
        struct visit *visit;
        if (!work || update->stopping) {
                gw_error_set(err, work ? "shutting-down" : "out-of-memory", "%s cannot be read now", device->id);
                return work ? -ESHUTDOWN : -ENOMEM;
        }
        if (work->running || work->visit) {
                gw_error_set(err, "busy", "%s is being %s now", device->id, work->running ? "updated" : "read");
                return -EBUSY;
        }
        visit = calloc(1, sizeof *visit);
        if (!visit) {
                gw_error_set(err, "out-of-memory", "%s cannot be read now", device->id);
                return -ENOMEM;
        }
        visit->update = update;
        visit->device = device;
        visit->findings = json_new_array();
        fleet_hold(device);
        work->visit = visit;
        list_init(&visit->link);
        list_append(&update->visits, &visit->link);
        update->n_visiting++;
        *ret_visit = visit;
        return 0;
}

int visit_start(struct update *update, struct gw_device *device, enum gw_operation_kind kind, update_reply reply, void *ctx) {
        struct gw_error err = { 0 };
        struct visit *visit = NULL;
        int r = begin(update, device, &visit, &err);
        if (r >= 0) {
                visit->reply = reply;
                visit->ctx = ctx;
                r = start_run(visit, kind, &err);
                if (r >= 0)
                        return 0;
                visit_free(visit);
        }
        device_work_free(device);
        return reply ? reply_error(update, &err, NULL, reply, ctx) : r;
}

void visit_returned(struct update *update, struct gw_device *device) {
        struct device_work *work = device->work;
        if (is_missed(device) && !(work && (work->running || work->visit)))
                (void) visit_start(update, device, GW_OPERATION_INSPECT, NULL, NULL);
}

void visits_stop(struct update *update) {
        struct visit *visit;
        LIST_FOREACH(visit, &update->visits, link)
                (void) run_stop(visit->run, GW_STOP_SHUTDOWN);
}

int update_device_visit(struct update *update, const char *device_id, enum gw_operation_kind kind, update_reply reply, void *ctx) {
        struct gw_error err = { 0 };
        struct gw_device *device = fleet_find_by_words(update->options.fleet, device_id, &err);
        return device ? visit_start(update, device, kind, reply, ctx) : reply_error(update, &err, NULL, reply, ctx);
}
