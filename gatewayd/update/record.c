/* SPDX-License-Identifier: Apache-2.0 */
#include "update/internal.h"

#include <stdlib.h>

#include "base/log.h"
#include "store/audit_table.h"

#define ANNOUNCE_ROWS 256

int record_event(struct update *update, const char *type, const struct campaign *campaign, const char *device, struct json *body) {
        _cleanup_json_ struct json *owned = body ? body : json_new_object();
        _cleanup_free_ char *text = NULL;
        struct event_row row = { .time_ms = update_wall_ms(update), .credible = update_is_credible(update) };
        int r;
        if (!owned)
                return -ENOMEM;
        r = json_write(owned, &text, NULL);
        if (r < 0)
                return r;
        row.type = (char *) type;
        row.campaign = campaign ? campaign->row.id : NULL;
        row.revision = campaign ? campaign->row.revision : 0;
        row.device = (char *) device;
        row.body = text;
        r = event_table_append(update->options.store, &row);
        if (r >= 0)
                record_announce(update);
        return r;
}

int record_audit(struct update *update, struct audit_row *row) {
        row->time_ms = update_wall_ms(update);
        row->credible = update_is_credible(update);
        return audit_table_append(update->options.store, row);
}

int record_command(struct update *update, const struct update_actor *actor, const char *command, const struct campaign *campaign, const char *result) {
        struct audit_row row = { .door = (char *) actor->door, .principal = (char *) actor->principal, .command = (char *) command, .result = (char *) result };
        if (campaign) {
                row.has_document_digest = true;
                memcpy(row.document_digest, campaign->row.digest, sizeof row.document_digest);
        }
        return record_audit(update, &row);
}

int update_audit(struct update *update, const struct update_actor *actor, const char *command, const char *device, const char *result) {
        struct audit_row row = { .door = (char *) actor->door,
                                 .principal = (char *) actor->principal,
                                 .command = (char *) command,
                                 .device = (char *) device,
                                 .result = (char *) result };
        return record_audit(update, &row);
}

int record_job(struct update *update, const struct job *job) {
        struct audit_row row = { .door = job->campaign->row.source, .principal = job->campaign->row.principal, .command = (char *) "job" };
        row.has_document_digest = true;
        memcpy(row.document_digest, job->campaign->row.digest, sizeof row.document_digest);
        row.device = job->row.device;
        row.hash_before = job->row.hash_before;
        row.version_before = job->row.version_before;
        row.hash_after = job->row.hash_after;
        row.version_after = job->row.version_after;
        row.result = job->row.result ? job->row.result : job->row.error_name ? job->row.error_name : job->row.state;
        return record_audit(update, &row);
}

/* --- telling the listeners, in order, when it is durable --- */

struct announcement {
        struct update *update;
        int64_t last_seq;
};

static int announce_row(void *ctx, struct event_row *row) {
        struct announcement *announcement = ctx;
        struct update *update = announcement->update;
        if (row->seq > announcement->last_seq)
                return 0;
        update->announced_seq = row->seq;
        for (size_t i = 0; i < update->n_listeners; i++)
                if (update->listeners[i].listener->event)
                        update->listeners[i].listener->event(update->listeners[i].ctx, row);
        return 0;
}

static void announce(void *ctx, int result) {
        struct update *update = ctx;
        struct announcement announcement = { .update = update, .last_seq = update->durable_seq };
        int64_t before;
        update->announcing = false;
        if (result < 0)
                return;
        do {
                before = update->announced_seq;
                if (event_table_each(update->options.store, before + 1, ANNOUNCE_ROWS, announce_row, &announcement) < 0)
                        return;
        } while (update->announced_seq - before == ANNOUNCE_ROWS);
        if (event_table_newest(update->options.store) > update->announced_seq)
                record_announce(update);
}

void record_announce(struct update *update) {
        if (update->announcing)
                return;
        update->durable_seq = event_table_newest(update->options.store);
        if (update->n_listeners == 0)
                update->announced_seq = update->durable_seq;
        else
                update->announcing = store_sync(update->options.store, announce, update, &update->announce_wait) >= 0;
}
