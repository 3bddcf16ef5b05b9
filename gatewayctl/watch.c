/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <inttypes.h>
#include <string.h>

#include "base/time.h"
#include "follow.h"
#include "jobs_view.h"

/* --- one campaign, to its end --- */

static int watch_campaign(struct session *session, const char *id, struct failure *failure) {
        _cleanup_follow_ struct follow *follow = NULL;
        _cleanup_json_ struct json *campaign = NULL;
        int r = follow_begin(session, id, &follow, failure);

        if (r == 0)
                r = follow_run(follow, &campaign, failure);
        return r < 0 ? r : follow_report(session, campaign, failure);
}

/* --- everything, as it happens --- */

struct stream {
        struct session *session;
        struct failure *failure;
        /* Which, where they come through a broker; the daemon itself hands over only what it was asked for. */
        bool choose;
        const char *campaign, *device; /* NULL: all */
        bool progress;
        int error;
};

static void describe_job(const struct json *data, const struct json *params, struct strbuf *line) {
        const char *reason = json_member_text(data, "reason"), *step = json_member_text(data, "step"),
                   *state = json_member_text(data, "state");
        const char *device = json_member_text(params, "device"), *text = json_member_text(json_child(data, "error"), "text");
        char outcome[OUTCOME_SIZE];

        job_outcome(data, outcome);
        strbuf_appendf(line, "%s ", device ? device : "");
        if (json_has(data, "result") || json_has(data, "error"))
                strbuf_append(line, outcome);
        else
                strbuf_appendf(line, "%s%s%s%s%s", state ? state : "", step ? ": " : "", step ? step : "", reason ? ", waits: " : "",
                               reason ? reason : "");
        if (text)
                strbuf_appendf(line, ": %s", text);
}

static void describe_event(const struct json *params, struct strbuf *line) {
        const char *type = json_member_text(params, "type"), *campaign = json_member_text(params, "campaign"),
                   *device = json_member_text(params, "device");
        const struct json *data = json_child(params, "data");
        const char *state = json_member_text(data, "state"), *reason = json_member_text(data, "reason");

        if (campaign)
                strbuf_appendf(line, "%s  ", campaign);
        if (str_equal(type, "campaign-state"))
                strbuf_appendf(line, "campaign is %s%s%s", state ? state : "", reason ? ", " : "", reason ? reason : "");
        else if (str_equal(type, "job-state") || str_equal(type, "job-result"))
                describe_job(data, params, line);
        else
                strbuf_appendf(line, "%s%s%s", device ? device : "", device ? " " : "", type ? type : "");
}

static void print_event(struct stream *stream, const struct json *params) {
        _cleanup_strbuf_ struct strbuf line = STRBUF_INIT(TEXT_LIMIT);
        _cleanup_free_ char *clean = NULL;
        const char *time = json_member_text(params, "time");
        char at[48] = "";

        if (time)
                text_time(at, sizeof at, time);
        if (session_is_many(stream->session))
                strbuf_appendf(&line, "%s  ", json_member_text(params, "gateway"));
        describe_event(params, &line);
        clean = text_clean(strbuf_text(&line));
        stream->error = session_say(stream->session, stream->failure, "%s  %s\n", at, clean ? clean : "");
}

static bool is_wanted(const struct stream *stream, const char *method, const struct json *params) {
        if (!stream->choose)
                return true;
        if (strcmp(method, "gateway") == 0)
                return true;
        if (stream->campaign && !str_equal(json_member_text(params, "campaign"), stream->campaign))
                return false;
        if (stream->device && !str_equal(json_member_text(params, "device"), stream->device))
                return false;
        return stream->progress || strcmp(method, "progress") != 0;
}

static void print_gateway(struct stream *stream, const struct json *params) {
        char time[TIME_RFC3339_SIZE], at[48] = "";

        if (time_format_rfc3339(time, sizeof time, time_now_wall_ms()) == 0)
                text_time(at, sizeof at, time);
        stream->error = session_say(stream->session, stream->failure, "%s  %s is %s\n", at, json_member_text(params, "gateway"),
                                    json_member_text(params, "state"));
}

static void on_news(void *ctx, const char *method, const struct json *params) {
        struct stream *stream = ctx;

        if (stream->error < 0 || !is_wanted(stream, method, params))
                return;
        if (stream->session->json) {
                _cleanup_members_ struct members message = members_new();
                members_text(&message, "method", method);
                members_json(&message, "params", json_ref((struct json *) params));
                stream->error = message.error < 0 ? failure_errno(stream->failure, message.error)
                                                  : session_print_json_line(stream->session, message.json, stream->failure);
        } else if (strcmp(method, "event") == 0) {
                print_event(stream, params);
        } else if (strcmp(method, "gateway") == 0) {
                print_gateway(stream, params);
        }
}

static int stream_params(struct session *session, char id[static STR_DEVICE_ID_SIZE], struct members *params, struct failure *failure) {
        const char *words = arguments_text(session->arguments, "device");
        int r = session_connect(session, failure);

        if (r == 0 && session_is_remote(session) && arguments_text(session->arguments, "from"))
                return failure_set(failure, EXIT_CODE_USAGE, "usage",
                                   "--from: a broker keeps no events; they are read over the control socket");
        if (r == 0 && words && (!str_is_device_id(words) || str_copy(id, STR_DEVICE_ID_SIZE, words) < 0))
                r = session_device_id(session, words, id, failure);
        if (r < 0)
                return r;
        if (words)
                members_text(params, "device", id);
        members_option(params, "campaign", session->arguments, "campaign");
        members_option(params, "from", session->arguments, "from");
        members_option(params, "progress", session->arguments, "progress");
        return 0;
}

static int watch_all(struct session *session, struct failure *failure) {
        _cleanup_members_ struct members params = members_new();
        char id[STR_DEVICE_ID_SIZE] = "";
        struct stream stream = {
                .session = session,
                .failure = failure,
                .campaign = arguments_text(session->arguments, "campaign"),
                .progress = arguments_flag(session->arguments, "progress"),
        };
        int r = stream_params(session, id, &params, failure);

        stream.device = id[0] ? id : NULL;
        stream.choose = session_is_remote(session);
        if (r == 0 && (r = client_catch_signals(session->client)) < 0)
                failure_errno(failure, r);
        if (r < 0)
                return r;
        /* From far: how everything stands, then what changes. */
        if (stream.choose && !session->json && !stream.campaign && !stream.device)
                r = gateways_print(session, failure);
        if (r < 0)
                return r;
        client_listen(session->client, on_news, &stream);
        r = session_subscribe(session, &params, failure);
        while (r == 0 && session_left_ms(session) != 0) {
                r = stream.error < 0 ? stream.error : client_wait(session->client, session_left_ms(session));
                if (r == -EPIPE && stream.error == 0)
                        client_broken(session->client, failure);
        }
        client_listen(session->client, NULL, NULL);
        /* Ctrl-C and --timeout are how a person ends this: nothing is left unfinished. */
        return r == -EINTR ? EXIT_CODE_OK : r;
}

int run_watch(struct session *session, struct failure *failure) {
        const char *id = arguments_at(session->arguments, 0);

        return id ? watch_campaign(session, id, failure) : watch_all(session, failure);
}
