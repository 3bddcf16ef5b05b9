/* SPDX-License-Identifier: Apache-2.0 */
#include "follow.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/time.h"
#include "document/names.h"
#include "jobs_view.h"
#include "progress.h"

/* One of the gateways on which the campaign is. */
struct follow_gateway {
        char id[STR_GATEWAY_ID_MAX + 1]; /* "": there is only one */
        char paused[64];                 /* the reason that was told last; "" it is not paused */
        char epoch[32];                  /* of its last event; a broker may hand over the same one again */
        int64_t seq;
        bool over;
        bool told; /* by news that came since the last look() was asked: its answer may be older */
        bool idle; /* none of its devices is meant: it may stay as it is until the deadline */
};

struct follow {
        struct session *session;
        struct progress *progress;
        char campaign[STR_ID_MAX + 1];
        struct follow_gateway *gateways;
        size_t n_gateways;
        bool running; /* what comes before is seen by the first look() */
        bool stop_when_paused;
        bool unsubscribed; /* the connection broke since */
        int error;         /* from inside a notification */
};

/* Made where there is none. NULL: out of memory, which is kept. */
static struct follow_gateway *gateway_of(struct follow *follow, const char *id) {
        struct follow_gateway *gateways;

        if (!session_is_many(follow->session) || !id)
                id = "";
        for (size_t i = 0; i < follow->n_gateways; i++)
                if (strcmp(follow->gateways[i].id, id) == 0)
                        return &follow->gateways[i];
        gateways = reallocarray(follow->gateways, follow->n_gateways + 1, sizeof *gateways);
        if (!gateways) {
                follow->error = -ENOMEM;
                return NULL;
        }
        follow->gateways = gateways;
        memset(&gateways[follow->n_gateways], 0, sizeof *gateways);
        str_copy(gateways[follow->n_gateways].id, sizeof gateways->id, id);
        return &gateways[follow->n_gateways++];
}

static bool is_over(const struct follow *follow) {
        size_t n_idle = 0;

        for (size_t i = 0; i < follow->n_gateways; i++) {
                const struct follow_gateway *gateway = &follow->gateways[i];
                if (gateway->over || (follow->stop_when_paused && gateway->paused[0]))
                        continue;
                if (!gateway->idle)
                        return false;
                n_idle++;
        }
        return n_idle < follow->n_gateways;
}

/* --- news --- */

static void set_job(struct follow *follow, const char *gateway, const char *device, const struct json *message,
                    int (*set)(struct progress *progress, const char *device, const struct progress_state *state)) {
        char outcome[OUTCOME_SIZE], label[STR_GATEWAY_ID_MAX + STR_DEVICE_ID_SIZE + 2];
        struct progress_state state;
        int r;

        if (!device)
                return;
        if (gateway && session_is_many(follow->session))
                str_format(label, sizeof label, "%s %s", gateway, device);
        else
                str_copy(label, sizeof label, device);
        job_progress(message, &state, outcome);
        r = set(follow->progress, label, &state);
        if (r < 0)
                follow->error = r;
}

static void tell_paused(struct follow *follow, const struct follow_gateway *gateway, const char *reason) {
        /* "gate: wave 1 of 3" */
        const char *verb = str_starts_with(reason, "needs-approval") || str_starts_with(reason, "gate") ? "continue" : "resume";

        if (follow->session->json)
                return;
        progress_erase(follow->progress);
        printf("The campaign is paused%s%s (%s); `gatewayctl %s %s` lets it go on.\n", gateway->id[0] ? " on " : "", gateway->id, reason,
               verb, follow->campaign);
        fflush(stdout);
}

/* is_old: news that came meanwhile say how it stands; a pause that is over by now is told all the same. */
static void note_campaign(struct follow *follow, const char *id, const struct json *campaign, bool is_old) {
        const char *text = json_member_text(campaign, "state"), *reason = json_member_text(campaign, "reason");
        struct follow_gateway *gateway;
        enum campaign_state state;

        if (!text || campaign_state_parse(text, &state) < 0 || !(gateway = gateway_of(follow, id)))
                return;
        /* What was asked for page by page may be older than the news that came in between: over is over. */
        gateway->over = gateway->over || campaign_state_is_final(state);
        if (state != CAMPAIGN_STATE_PAUSED) {
                if (!is_old)
                        gateway->paused[0] = '\0';
                return;
        }
        if (!reason)
                reason = "by a person";
        if (strcmp(gateway->paused, reason) != 0)
                tell_paused(follow, gateway, reason);
        if (!is_old)
                str_copy(gateway->paused, sizeof gateway->paused, reason);
}

/* A gateway whose connection to the broker broke sends again what may not have arrived. */
static bool is_repeated(struct follow *follow, const struct json *event) {
        const char *epoch = json_member_text(event, "epoch");
        struct follow_gateway *gateway = gateway_of(follow, json_member_text(event, "gateway"));
        int64_t seq = 0;

        if (!gateway || !epoch || json_member_int(event, "seq", 1, INT64_MAX, &seq) < 0)
                return false;
        if (strcmp(gateway->epoch, epoch) == 0 && seq <= gateway->seq)
                return true;
        str_copy(gateway->epoch, sizeof gateway->epoch, epoch);
        gateway->seq = seq;
        return false;
}

/* What only campaign.get tells: has this gateway a device for it? */
static void note_counts(struct follow *follow, const char *id, const struct json *campaign) {
        struct follow_gateway *gateway = campaign ? gateway_of(follow, id) : NULL;
        int64_t total = 1;

        json_member_int(json_child(campaign, "counts"), "total", 0, INT64_MAX, &total);
        if (gateway)
                gateway->idle = total == 0;
}

/* A device that came later makes a gateway one that has work. */
static void note_work(struct follow *follow, const char *id, const char *device, const struct json *data) {
        struct follow_gateway *gateway = gateway_of(follow, id);

        if (gateway)
                gateway->idle = false;
        set_job(follow, id, device, data, progress_set);
}

static void note_news(struct follow *follow, const char *id, const struct json *campaign) {
        struct follow_gateway *gateway = gateway_of(follow, id);

        note_campaign(follow, id, campaign, false);
        if (gateway)
                gateway->told = true;
}

static void on_news(void *ctx, const char *method, const struct json *params) {
        const char *type = json_member_text(params, "type"), *device = json_member_text(params, "device"),
                   *gateway = json_member_text(params, "gateway");
        struct follow *follow = ctx;

        if (!follow->running || !str_equal(json_member_text(params, "campaign"), follow->campaign))
                return;
        if (strcmp(method, "progress") == 0)
                set_job(follow, gateway, device, params, progress_set);
        else if (strcmp(method, "event") != 0 || is_repeated(follow, params))
                return;
        else if (str_equal(type, "campaign-state"))
                note_news(follow, gateway, json_child(params, "data"));
        else if (str_equal(type, "job-state") || str_equal(type, "job-result"))
                note_work(follow, gateway, device, json_child(params, "data"));
}

static int subscribe(struct follow *follow, struct failure *failure) {
        _cleanup_members_ struct members params = members_new();
        int r;

        members_text(&params, "campaign", follow->campaign);
        members_bool(&params, "progress", true);
        client_listen(follow->session->client, on_news, follow);
        r = session_subscribe(follow->session, &params, failure);
        follow->unsubscribed = r < 0;
        return r;
}

static void note_looked(struct follow *follow, const char *id, const struct json *campaign) {
        const struct follow_gateway *gateway = campaign ? gateway_of(follow, id) : NULL;

        note_campaign(follow, id, campaign, gateway && gateway->told);
        note_counts(follow, id, campaign);
}

/* How everything stands now, whatever was missed. */
static int look(struct follow *follow, struct json **ret_campaign, struct failure *failure) {
        _cleanup_members_ struct members params = members_new();
        _cleanup_json_ struct json *result = NULL;
        int r;

        for (size_t i = 0; i < follow->n_gateways; i++)
                follow->gateways[i].told = false;
        members_text(&params, "id", follow->campaign);
        members_number(&params, "limit", 1000);
        r = session_call_pages(follow->session, "campaign.get", &params, "jobs", &result, failure);
        if (r < 0)
                return r;
        note_looked(follow, NULL, json_child(result, "campaign"));
        JSON_FOREACH_ITEM(i, entry, json_child(result, "gateways")) {
                const char *id = json_member_text(entry, "gateway");
                const struct json *campaign = json_child(json_child(entry, "result"), "campaign");
                note_looked(follow, id, campaign);
        }
        JSON_FOREACH_ITEM(i, job, json_child(result, "jobs"))
        set_job(follow, json_member_text(job, "gateway"), json_member_text(job, "device"), job, progress_look);
        if (ret_campaign)
                *ret_campaign = TAKE_PTR(result);
        return 0;
}

int follow_begin(struct session *session, const char *campaign, struct follow **ret_follow, struct failure *failure) {
        _cleanup_follow_ struct follow *follow = calloc(1, sizeof *follow);
        const char *term = getenv("TERM");
        bool live = isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0;
        int r = follow ? 0 : -ENOMEM;

        if (r == 0)
                r = progress_new(session->json ? NULL : stdout, live, &session->style, &follow->progress);
        if (r < 0)
                return failure_errno(failure, r);
        follow->session = session;
        str_copy(follow->campaign, sizeof follow->campaign, campaign);
        r = session_connect(session, failure);
        if (r == 0 && (r = client_catch_signals(session->client)) < 0)
                failure_errno(failure, r);
        if (r == 0)
                r = subscribe(follow, failure);
        if (r == 0)
                *ret_follow = TAKE_PTR(follow);
        return r;
}

void follow_stop_when_paused(struct follow *follow) {
        follow->stop_when_paused = true;
}

void follow_free(struct follow *follow) {
        if (!follow)
                return;
        if (follow->session && follow->session->client)
                client_listen(follow->session->client, NULL, NULL);
        progress_free(follow->progress);
        free(follow->gateways);
        free(follow);
}

/* --- the way --- */

/* Says how to come back to the work that goes on. */
static void leave(struct follow *follow, struct failure *failure) {
        bool interrupted = client_is_interrupted(follow->session->client);

        failure_set(failure, EXIT_CODE_UNFINISHED, interrupted ? "interrupted" : "not-finished-in-time", "%s; the work goes on",
                    interrupted ? "interrupted" : "not finished within --timeout");
        str_format(failure->advice, sizeof failure->advice, "`gatewayctl watch %s` shows it, `gatewayctl cancel %s` ends it.",
                   follow->campaign, follow->campaign);
}

/* The daemon went away (restart, update of its package): it goes on with the work when it is back, and so do we. */
static int reconnect(struct follow *follow, struct failure *failure) {
        struct client *client = follow->session->client;
        int64_t until_ms = time_now_monotonic_ms() + FOLLOW_RECONNECT_MS;
        int r;

        follow->unsubscribed = true;
        progress_erase(follow->progress);
        if (!follow->session->json)
                fprintf(stderr, "gatewayctl: the connection to %s broke; waiting for it\n",
                        session_is_remote(follow->session) ? "the broker" : "the daemon");
        do {
                int64_t left_ms = session_left_ms(follow->session);
                client_pause(client, left_ms >= 0 ? MIN(left_ms, (int64_t) FOLLOW_RETRY_MS) : FOLLOW_RETRY_MS);
                if (client_is_interrupted(client) || session_left_ms(follow->session) == 0)
                        return 0; /* the caller sees both */
                failure_deinit(failure);
                r = client_reconnect(client, failure);
                if (r == 0)
                        r = subscribe(follow, failure);
                /* Behind a broker that is back the gateways may still be on their way. */
                if (r == 0)
                        r = look(follow, NULL, failure);
        } while (r < 0 && failure->exit_code == EXIT_CODE_NO_DAEMON && time_now_monotonic_ms() < until_ms);
        if (r == 0)
                memset(failure, 0, sizeof *failure);
        return r;
}

/* 0: something may have changed. */
static int turn(struct follow *follow, struct failure *failure) {
        struct session *session = follow->session;
        int64_t left_ms = session_left_ms(session);
        int r;

        if (client_is_interrupted(session->client) || left_ms == 0) {
                leave(follow, failure);
                return -EINTR;
        }
        if (follow->unsubscribed || !client_is_connected(session->client))
                return reconnect(follow, failure);
        if (progress_is_stale(follow->progress) && (left_ms < 0 || left_ms > PROGRESS_REDRAW_MS))
                left_ms = PROGRESS_REDRAW_MS;
        r = client_wait(session->client, left_ms);
        return r == -EINTR || r == -EPIPE || r == 0 ? 0 : failure_errno(failure, r);
}

/* look(), but a daemon that is away for a moment does not end it. */
static int look_again(struct follow *follow, struct json **ret_campaign, struct failure *failure) {
        int r = look(follow, ret_campaign, failure);

        if (r == 0 || failure->exit_code != EXIT_CODE_NO_DAEMON)
                return r;
        r = reconnect(follow, failure);
        return r < 0 ? r : look(follow, ret_campaign, failure);
}

static int watch(struct follow *follow, struct json **ret_campaign, struct failure *failure) {
        int64_t drawn_ms = 0;
        int r;

        follow->running = true;
        r = look_again(follow, NULL, failure);

        while (r == 0 && !is_over(follow)) {
                if (progress_is_stale(follow->progress) && time_now_monotonic_ms() - drawn_ms >= PROGRESS_REDRAW_MS) {
                        progress_draw(follow->progress);
                        drawn_ms = time_now_monotonic_ms();
                }
                r = turn(follow, failure);
                if (r == 0 && follow->error < 0)
                        r = failure_errno(failure, follow->error);
        }
        return r < 0 ? r : look_again(follow, ret_campaign, failure);
}

int follow_run(struct follow *follow, struct json **ret_campaign, struct failure *failure) {
        int r = watch(follow, ret_campaign, failure);

        progress_erase(follow->progress);
        if (r < 0 && failure->exit_code == EXIT_CODE_UNFINISHED)
                leave(follow, failure);
        return r;
}

/* The state that it ended with; on several gateways the first that is not "completed". */
static const char *end_of(const struct json *campaign) {
        const char *state = json_member_text(json_child(campaign, "campaign"), "state");

        JSON_FOREACH_ITEM(i, entry, json_child(campaign, "gateways")) {
                const char *one = json_member_text(json_child(json_child(entry, "result"), "campaign"), "state");
                if (one && (!state || str_equal(state, "completed")))
                        state = one;
        }
        return state;
}

int follow_report(struct session *session, const struct json *campaign, struct failure *failure) {
        const struct json *jobs = json_child(campaign, "jobs");
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT(TEXT_LIMIT);
        const char *state = end_of(campaign);
        int r;

        if (session->json) {
                r = session_print_json(session, campaign, failure);
        } else {
                if (json_length(jobs) == 0)
                        strbuf_appendf(&out, "The campaign is %s; no device was selected.\n", state ? state : "over");
                else
                        strbuf_append_char(&out, '\n');
                r = results_render(jobs, &session->style, &out);
                r = r < 0 ? failure_errno(failure, r) : session_print(session, &out, failure);
        }
        if (r < 0)
                return r;
        return jobs_without_success(jobs) > 0 || !str_equal(state, "completed") ? EXIT_CODE_FINDINGS : EXIT_CODE_OK;
}
