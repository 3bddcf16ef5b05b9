/* SPDX-License-Identifier: Apache-2.0 */
#include "session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "document/command.h"
#include "signing.h"

/* --- calls --- */

/* May this be asked from here, and of these? From far much less is possible than on the control socket. */
static int check_method(const struct session *session, const struct command_method *method, struct failure *failure) {
        if (!session_is_remote(session))
                return 0;
        if (method->right == COMMAND_RIGHT_LOCAL)
                return failure_set(failure, EXIT_CODE_USAGE, "usage", "%s works only on the gateway itself, over its control socket",
                                   method->name);
        if (method->right != COMMAND_RIGHT_READ && session->audience_is_default)
                return failure_set(failure, EXIT_CODE_USAGE, "usage", "for whom is it? --gateway ID, --group NAME or --all");
        return 0;
}

/* A request that is ready to be sent: its params are what the method takes from here. */
struct call {
        struct client_request request;
        struct signing signing;
};

static int prepare(struct session *session, struct call *call, struct members *params, struct failure *failure) {
        const struct command_method *method = command_method_find(call->request.method);
        int64_t left_ms = session_left_ms(session);
        int r = params && params->error < 0 ? failure_errno(failure, params->error) : session_connect(session, failure);

        if (r == 0)
                r = check_method(session, method, failure);
        if (r < 0)
                return r;
        call->request.params = params ? TAKE_PTR(params->json) : NULL;
        if (left_ms >= 0)
                call->request.timeout_ms = MAX(left_ms, (int64_t) 1);
        return signing_begin(&call->signing, session, method, &call->request, failure);
}

static int call(struct session *session, const struct client_request *request, struct members *params, struct json **ret_result,
                struct failure *failure) {
        struct call call = { .request = *request };
        int r = prepare(session, &call, params, failure);

        if (r == 0)
                r = client_call(session->client, &call.request, ret_result, failure);
        signing_end(&call.signing);
        return r;
}

int session_call(struct session *session, const char *method, struct members *params, struct json **ret_result, struct failure *failure) {
        const struct client_request request = { .method = method };

        return call(session, &request, params, ret_result, failure);
}

int session_call_patient(struct session *session, const char *method, struct members *params, struct json **ret_result,
                         struct failure *failure) {
        const struct client_request request = { .method = method, .timeout_ms = -1 };

        return call(session, &request, params, ret_result, failure);
}

int session_call_file(struct session *session, const char *method, struct members *params, int fd, struct json **ret_result,
                      struct failure *failure) {
        const struct client_request request = { .method = method, .timeout_ms = -1, .with_fd = true, .fd = fd };

        return call(session, &request, params, ret_result, failure);
}

int session_subscribe(struct session *session, struct members *params, struct failure *failure) {
        int64_t left_ms = session_left_ms(session);
        int r = params->error < 0 ? failure_errno(failure, params->error) : session_connect(session, failure);

        return r < 0 ? r : client_subscribe(session->client, TAKE_PTR(params->json), left_ms < 0 ? 0 : MAX(left_ms, (int64_t) 1), failure);
}

/* --- pages --- */

/* The same params with the place where the next page begins. */
static int next_params(const struct json *base, const struct json *result, struct members *ret_params) {
        struct json *next = json_child(result, "next"), *copy = NULL;
        int r = base ? json_copy(base, &copy) : (copy = json_new_object()) ? 0 : -ENOMEM;

        if (r < 0)
                return r;
        ret_params->json = copy;
        ret_params->error = 0;
        members_json(ret_params, "after", json_ref(next));
        return ret_params->error;
}

static int append_page(struct json *whole, const struct json *page, const char *list) {
        struct json *items = json_child(whole, list);
        int r = items ? 0 : -EBADMSG;

        JSON_FOREACH_ITEM(i, item, json_child(page, list))
        if (r == 0)
                r = json_append(items, json_ref(item));
        if (r == 0)
                r = json_remove(whole, "next");
        if (r == 0 && json_has(page, "next"))
                r = json_set(whole, "next", json_ref(json_child(page, "next")));
        return r;
}

/* What is missing of an answer that says `next`. gateway NULL: the one that is meant. */
static int add_pages(struct session *session, const struct client_request *request, const struct json *base, const char *list,
                     struct json *whole, struct failure *failure) {
        int r = 0;

        while (r == 0 && json_has(whole, "next")) {
                _cleanup_json_ struct json *page = NULL;
                _cleanup_members_ struct members more = { 0 };
                r = next_params(base, whole, &more);
                if (r < 0)
                        return failure_errno(failure, r);
                r = call(session, request, &more, &page, failure);
                if (r == 0 && (r = append_page(whole, page, list)) < 0)
                        return failure_errno(failure, r);
        }
        return r;
}

/* --- several gateways --- */

/* Names of errors that only say that this gateway is not concerned, where others are. */
static bool is_not_concerned(const struct answer *answer) {
        static const char *const names[] = { "campaign-unknown", "device-unknown", "not-for-this-gateway" };

        for (size_t i = 0; i < ARRAY_SIZE(names) && answer->state == ANSWER_ERROR; i++)
                if (strcmp(answer->failure.err.name, names[i]) == 0)
                        return true;
        return false;
}

static int note_missing(struct session *session, const struct answer *answer) {
        struct json *entry, *error;

        if (!session->missing)
                session->missing = json_new_array();
        /* The same gateway is told of once, whatever it was asked for. */
        JSON_FOREACH_ITEM(i, known, session->missing)
        if (str_equal(json_member_text(known, "gateway"), answer->gateway))
                return 0;
        entry = session->missing ? json_append_new_object(session->missing) : NULL;
        error = entry && json_set_string(entry, "gateway", answer->gateway) == 0 ? json_set_new_object(entry, "error") : NULL;
        if (!error || json_set_string(error, "name", answer->failure.err.name) < 0 ||
            json_set_string(error, "text", answer->failure.err.text) < 0)
                return -ENOMEM;
        return json_set_bool(entry, "answered", answer->state == ANSWER_ERROR);
}

/* It is there again: what was noted of it does not hold any more. */
static int note_answered(struct session *session, const char *gateway) {
        struct json *others = json_length(session->missing) > 0 ? json_new_array() : NULL;
        size_t n_told = session->n_told;
        int r = 0;

        if (json_length(session->missing) == 0)
                return 0;
        if (!others)
                return -ENOMEM;
        JSON_FOREACH_ITEM(i, entry, session->missing) {
                if (!str_equal(json_member_text(entry, "gateway"), gateway))
                        r = r == 0 ? json_append(others, json_ref(entry)) : r;
                else if (i < session->n_told)
                        n_told--;
        }
        json_free(session->missing);
        session->missing = others;
        session->n_told = n_told;
        return r;
}

/* Nobody gave a result: why not, in the words of the first that said anything. */
static int all_failed(const struct session *session, struct answers *answers, struct failure *failure) {
        struct answer *first = &answers->items[0];

        for (size_t i = 0; i < answers->n_items && first->state != ANSWER_ERROR; i++)
                if (answers->items[i].state == ANSWER_ERROR)
                        first = &answers->items[i];
        *failure = first->failure;
        first->failure.mistakes = NULL;
        if (session_is_many(session) && first->state == ANSWER_ERROR)
                gw_error_prefix(&failure->err, "%s", first->gateway);
        return -EBADMSG;
}

/* Keeps the results, and the errors that mean something. */
static int sift(struct session *session, struct answers *answers) {
        size_t n_kept = 0;
        int r = 0;

        for (size_t i = 0; i < answers->n_items; i++) {
                struct answer *answer = &answers->items[i];
                if (answer->state != ANSWER_RESULT && !is_not_concerned(answer) && r == 0)
                        r = note_missing(session, answer);
                if (answer->state == ANSWER_RESULT) {
                        if (r == 0)
                                r = note_answered(session, answer->gateway);
                        answers->items[n_kept++] = *answer;
                } else {
                        failure_deinit(&answer->failure);
                }
        }
        answers->n_items = n_kept;
        return r;
}

static int gather(struct session *session, struct call *call, const struct session_question *question, struct answers *ret_answers,
                  struct failure *failure) {
        _cleanup_json_ struct json *base = NULL;
        int r = question->list && question->params && question->params->error == 0 ? json_copy(question->params->json, &base) : 0;

        if (r < 0)
                return failure_errno(failure, r);
        r = prepare(session, call, question->params, failure);
        if (r == 0)
                r = client_gather(session->client, &call->request, ret_answers, failure);
        for (size_t i = 0; i < ret_answers->n_items && r == 0 && question->list; i++) {
                const struct answer *answer = &ret_answers->items[i];
                const struct client_request more = { .method = question->method,
                                                     .gateway = session_is_remote(session) ? answer->gateway : NULL };
                if (answer->state == ANSWER_RESULT)
                        r = add_pages(session, &more, base, question->list, answer->result, failure);
        }
        return r;
}

int session_gather(struct session *session, const struct session_question *question, struct answers *ret_answers, struct failure *failure) {
        struct call call = {
                .request = {
                        .method = question->method,
                        .timeout_ms = question->patient ? -1 : 0,
                        .is_meant = question->is_meant,
                        .meant_ctx = question->ctx,
                },
        };
        int r = gather(session, &call, question, ret_answers, failure);

        signing_end(&call.signing);
        if (r < 0)
                return r;
        if (answers_count(ret_answers, ANSWER_RESULT) == 0)
                return all_failed(session, ret_answers, failure);
        r = sift(session, ret_answers);
        return r < 0 ? failure_errno(failure, r) : 0;
}

/* Moves one gateway's list into the common one; what else it said goes to `gateways`. */
static int merge_answer(struct json *list, struct json *gateways, const struct answer *answer, const char *name) {
        struct json *entry = json_append_new_object(gateways);
        int r = entry ? json_set_string(entry, "gateway", answer->gateway) : -ENOMEM;

        JSON_FOREACH_ITEM(i, item, json_child(answer->result, name)) {
                if (r == 0)
                        r = json_set_string(item, "gateway", answer->gateway);
                if (r == 0)
                        r = json_append(list, json_ref(item));
        }
        if (r == 0)
                r = json_remove(answer->result, name);
        return r < 0 ? r : json_set(entry, "result", json_ref(answer->result));
}

static int append_missing(const struct session *session, struct json *gateways) {
        int r = 0;

        JSON_FOREACH_ITEM(i, missing, session->missing)
        if (r == 0)
                r = json_append(gateways, json_ref(missing));
        return r;
}

static int merge(struct session *session, const struct session_question *question, struct json **ret_result, struct failure *failure) {
        _cleanup_answers_ struct answers answers = { 0 };
        _cleanup_json_ struct json *whole = json_new_object();
        struct json *list = whole ? json_set_new_array(whole, question->list) : NULL;
        struct json *gateways = list ? json_set_new_array(whole, "gateways") : NULL;
        int r = gateways ? session_gather(session, question, &answers, failure) : failure_errno(failure, -ENOMEM);

        if (r < 0)
                return r;
        for (size_t i = 0; i < answers.n_items && r == 0; i++)
                r = merge_answer(list, gateways, &answers.items[i], question->list);
        if (r == 0)
                r = append_missing(session, gateways);
        if (r < 0)
                return failure_errno(failure, r);
        *ret_result = TAKE_PTR(whole);
        return 0;
}

int session_call_pages(struct session *session, const char *method, struct members *params, const char *list, struct json **ret_result,
                       struct failure *failure) {
        const struct session_question question = { .method = method, .params = params, .list = list };

        return session_collect(session, &question, ret_result, failure);
}

int session_collect(struct session *session, const struct session_question *question, struct json **ret_result, struct failure *failure) {
        _cleanup_answers_ struct answers answers = { 0 };
        int r = session_settle(session, failure);

        if (r < 0)
                return r;
        if (session_is_many(session))
                return merge(session, question, ret_result, failure);
        r = session_gather(session, question, &answers, failure);
        if (r == 0)
                *ret_result = TAKE_PTR(answers.items[0].result);
        return r;
}

/* --- showing what each said --- */

static int each_json(struct session *session, const struct answers *answers, struct failure *failure) {
        _cleanup_json_ struct json *root = json_new_object();
        struct json *gateways = root ? json_set_new_array(root, "gateways") : NULL;
        int r = gateways ? 0 : -ENOMEM;

        for (size_t i = 0; i < answers->n_items && r == 0; i++) {
                struct json *entry = json_append_new_object(gateways);
                r = entry ? json_set_string(entry, "gateway", answers->items[i].gateway) : -ENOMEM;
                if (r == 0)
                        r = json_set(entry, "result", json_ref(answers->items[i].result));
        }
        if (r == 0)
                r = append_missing(session, gateways);
        return r < 0 ? failure_errno(failure, r) : session_print_json(session, root, failure);
}

/* One line behind the gateway's name; more of them below it. */
static void put_under(struct strbuf *out, const char *gateway, const struct strbuf *text, bool is_first, const struct style *style) {
        const char *newline = strchr(strbuf_text(text), '\n');
        bool is_line = newline && !newline[1];

        if (!is_line && !is_first)
                strbuf_append_char(out, '\n');
        text_append_toned(out, gateway, TONE_STRONG, style);
        strbuf_append(out, is_line ? ": " : "\n");
        strbuf_append(out, strbuf_text(text));
}

int session_each(struct session *session, const struct session_question *question, session_show show, struct failure *failure) {
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT(TEXT_LIMIT);
        _cleanup_answers_ struct answers answers = { 0 };
        int r = session_gather(session, question, &answers, failure), exit_code = EXIT_CODE_OK;

        if (r < 0)
                return r;
        for (size_t i = 0; i < answers.n_items; i++) {
                _cleanup_strbuf_ struct strbuf text = STRBUF_INIT(TEXT_LIMIT);
                r = show(session, answers.items[i].result, &text);
                if (r == 0 && text.error < 0)
                        r = text.error;
                if (r < 0)
                        return failure_errno(failure, r);
                exit_code = MAX(exit_code, r);
                if (session_is_many(session))
                        put_under(&out, answers.items[i].gateway, &text, i == 0, &session->style);
                else
                        strbuf_append(&out, strbuf_text(&text));
        }
        if (!session->json)
                r = session_print(session, &out, failure);
        else if (session_is_many(session))
                r = each_json(session, &answers, failure);
        else
                r = session_print_json(session, answers.items[0].result, failure);
        return r < 0 ? r : exit_code;
}

/* Those that gave no answer, or whose answer was no, while others did. */
static void tell_missing(struct session *session, bool answered, const char *title, struct strbuf *out) {
        size_t n = 0;

        for (size_t i = session->n_told; i < json_length(session->missing); i++) {
                const struct json *missing = json_at(session->missing, i);
                const struct json *error = json_child(missing, "error");
                _cleanup_free_ char *text = text_clean(json_member_text(error, "text"));
                bool has_answered = false;
                json_member_bool(missing, "answered", &has_answered);
                if (has_answered != answered)
                        continue;
                if (n++ == 0)
                        text_append_toned(out, title, TONE_CARE, &session->style);
                /* Silence is told with the gateway's name in front, a refusal in the words of the gateway. */
                strbuf_appendf(out, "  %s%s%s (%s)\n", answered ? json_member_text(missing, "gateway") : "", answered ? ": " : "",
                               text ? text : "", json_member_text(error, "name"));
        }
}

int session_tell_missing(struct session *session, struct failure *failure) {
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT(TEXT_LIMIT);

        if (session->json)
                return 0;
        tell_missing(session, false, "\nNo answer:\n", &out);
        tell_missing(session, true, "\nRefused:\n", &out);
        session->n_told = json_length(session->missing);
        return session_print(session, &out, failure);
}

int session_finish(struct session *session, int exit_code, struct failure *failure) {
        int r = session_tell_missing(session, failure);

        if (r < 0)
                return r;
        return exit_code == EXIT_CODE_OK && json_length(session->missing) > 0 ? EXIT_CODE_FINDINGS : exit_code;
}

int session_device_id(struct session *session, const char *words, char ret_id[static STR_DEVICE_ID_SIZE], struct failure *failure) {
        _cleanup_members_ struct members params = members_new();
        _cleanup_json_ struct json *result = NULL;
        const char *id;
        int r;

        members_text(&params, "id", words);
        r = session_call(session, "device.get", &params, &result, failure);
        if (r < 0)
                return r;
        id = json_member_text(json_child(result, "device"), "id");
        if (!id || str_copy(ret_id, STR_DEVICE_ID_SIZE, id) < 0)
                return failure_set(failure, EXIT_CODE_INTERNAL, "reply-invalid", "the daemon's answer to device.get has no id");
        return 0;
}
