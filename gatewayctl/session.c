/* SPDX-License-Identifier: Apache-2.0 */
#include "session.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/time.h"

/* --- the run --- */

static void choose_style(struct style *style) {
        const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR"); /* no-color.org: set and not empty */
        struct winsize window;

        if (!isatty(STDOUT_FILENO))
                return;
        style->colour = !(no_color && no_color[0]) && term && strcmp(term, "dumb") != 0;
        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0)
                style->columns = window.ws_col;
}

void session_init(struct session *session, const struct arguments *arguments) {
        *session = (struct session){ .arguments = arguments, .begun_ms = time_now_monotonic_ms(), .now_wall_ms = time_now_wall_ms() };
        session->style.utf8 = text_init();
        choose_style(&session->style);
        session->json = arguments_flag(arguments, "json");
        arguments_number(arguments, "timeout", &session->timeout_ms);
}

void session_deinit(struct session *session) {
        client_free(session->client);
        session->client = NULL;
        loop_free(session->loop);
        session->loop = NULL;
}

static const char *socket_path(const struct session *session) {
        const char *path = arguments_text(session->arguments, "socket"), *environment = getenv("GATEWAYD_SOCKET");

        if (path)
                return path;
        return environment && environment[0] ? environment : CLIENT_SOCKET_DEFAULT;
}

int session_connect(struct session *session, struct failure *failure) {
        int r = 0;

        if (session->client)
                return 0;
        if (!session->loop)
                r = loop_new(&session->loop);
        if (r < 0)
                return failure_errno(failure, r);
        return client_new(session->loop, socket_path(session), &session->client, failure);
}

int64_t session_left_ms(const struct session *session) {
        int64_t left_ms = session->timeout_ms - (time_now_monotonic_ms() - session->begun_ms);

        if (session->timeout_ms == 0)
                return -1;
        return MAX(left_ms, (int64_t) 0);
}

/* --- members --- */

struct members members_new(void) {
        struct members members = { .json = json_new_object() };

        members.error = members.json ? 0 : -ENOMEM;
        return members;
}

void members_deinit(struct members *members) {
        json_free(members->json);
        members->json = NULL;
}

static void stick(struct members *members, int r) {
        if (r < 0 && members->error == 0)
                members->error = r;
}

void members_text(struct members *members, const char *key, const char *text) {
        if (members->error == 0)
                stick(members, json_set_string(members->json, key, text));
}

void members_number(struct members *members, const char *key, int64_t number) {
        if (members->error == 0)
                stick(members, json_set_int(members->json, key, number));
}

void members_bool(struct members *members, const char *key, bool value) {
        if (members->error == 0)
                stick(members, json_set_bool(members->json, key, value));
}

void members_null(struct members *members, const char *key) {
        if (members->error == 0)
                stick(members, json_set_null(members->json, key));
}

void members_json(struct members *members, const char *key, struct json *json) {
        if (members->error < 0)
                json_free(json);
        else
                stick(members, json ? json_set(members->json, key, json) : -ENOMEM);
}

void members_texts(struct members *members, const char *key, const struct str_list *texts) {
        struct json *array = texts->n_items && members->error == 0 ? json_set_new_array(members->json, key) : NULL;

        if (texts->n_items && members->error == 0 && !array)
                stick(members, -ENOMEM);
        for (size_t i = 0; array && i < texts->n_items; i++)
                stick(members, json_append_string(array, texts->items[i]));
}

void members_option(struct members *members, const char *key, const struct arguments *arguments, const char *option) {
        int64_t number;

        switch (option_find(arguments->verb, option)->kind) {
        case VALUE_NONE:
                if (arguments_flag(arguments, option))
                        members_bool(members, key, true);
                return;
        case VALUE_NUMBER:
        case VALUE_DURATION:
                if (arguments_number(arguments, option, &number))
                        members_number(members, key, number);
                return;
        case VALUE_TEXT:
        case VALUE_CHOICE:
        case VALUE_FILE:
        case VALUE_DEVICE:
        case VALUE_CAMPAIGN:
        case VALUE_VERB:
        case VALUE_ERROR_NAME:
                members_text(members, key, arguments_text(arguments, option));
                return;
        }
}

void members_options(struct members *members, const char *key, const struct arguments *arguments, const char *option) {
        _cleanup_str_list_ struct str_list texts = STR_LIST_INIT;

        stick(members, arguments_texts(arguments, option, &texts));
        members_texts(members, key, &texts);
}

/* --- calls --- */

static int call(struct session *session, struct client_request *request, struct members *params, struct json **ret_result,
                struct failure *failure) {
        int64_t left_ms = session_left_ms(session);
        int r = params && params->error < 0 ? failure_errno(failure, params->error) : session_connect(session, failure);

        if (r < 0)
                return r;
        request->params = params ? TAKE_PTR(params->json) : NULL;
        if (left_ms >= 0)
                request->timeout_ms = MAX(left_ms, (int64_t) 1);
        return client_call(session->client, request, ret_result, failure);
}

int session_call(struct session *session, const char *method, struct members *params, struct json **ret_result, struct failure *failure) {
        struct client_request request = { .method = method };

        return call(session, &request, params, ret_result, failure);
}

int session_call_patient(struct session *session, const char *method, struct members *params, struct json **ret_result,
                         struct failure *failure) {
        struct client_request request = { .method = method, .timeout_ms = -1 };

        return call(session, &request, params, ret_result, failure);
}

int session_call_file(struct session *session, const char *method, struct members *params, int fd, struct json **ret_result,
                      struct failure *failure) {
        struct client_request request = { .method = method, .timeout_ms = -1, .with_fd = true, .fd = fd };

        return call(session, &request, params, ret_result, failure);
}

/* The same params with the place where the next page begins. */
static int next_params(const struct json *base, const struct json *result, struct members *ret_params) {
        struct json *next = json_child(result, "next"), *copy = NULL;
        int r = json_copy(base, &copy);

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

int session_call_pages(struct session *session, const char *method, struct members *params, const char *list, struct json **ret_result,
                       struct failure *failure) {
        _cleanup_json_ struct json *base = NULL, *whole = NULL;
        int r = params->error;

        if (r == 0)
                r = json_copy(params->json, &base);
        if (r < 0)
                return failure_errno(failure, r);
        r = session_call(session, method, params, &whole, failure);
        while (r == 0 && json_has(whole, "next")) {
                _cleanup_json_ struct json *page = NULL;
                _cleanup_members_ struct members more = { 0 };
                r = next_params(base, whole, &more);
                if (r < 0)
                        return failure_errno(failure, r);
                r = session_call(session, method, &more, &page, failure);
                if (r == 0 && (r = append_page(whole, page, list)) < 0)
                        return failure_errno(failure, r);
        }
        if (r == 0)
                *ret_result = TAKE_PTR(whole);
        return r;
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

/* --- printing --- */

static int print(const char *text, size_t size, struct failure *failure) {
        if (fwrite(text, 1, size, stdout) == size && fflush(stdout) == 0)
                return 0;
        return failure_set(failure, EXIT_CODE_INTERNAL, "output-failed", "the output cannot be written: %s", strerror(errno));
}

int session_print(struct session *session, const struct strbuf *out, struct failure *failure) {
        (void) session;
        return out->error < 0 ? failure_errno(failure, out->error) : print(strbuf_text(out), out->size, failure);
}

int session_print_table(struct session *session, const struct table *table, struct failure *failure) {
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT(TEXT_LIMIT);
        int r = table_render(table, &session->style, &out);

        return r < 0 ? failure_errno(failure, r) : session_print(session, &out, failure);
}

static int print_json(const struct json *json, bool one_line, struct failure *failure) {
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r = one_line ? json_write(json, &text, &size) : json_write_pretty(json, &text, &size);

        if (r < 0)
                return failure_errno(failure, r);
        text[size] = '\n'; /* in place of the NUL: written by length */
        return print(text, size + 1, failure);
}

int session_print_json(struct session *session, const struct json *json, struct failure *failure) {
        (void) session;
        return print_json(json, false, failure);
}

int session_print_json_line(struct session *session, const struct json *json, struct failure *failure) {
        (void) session;
        return print_json(json, true, failure);
}

int session_say(struct session *session, struct failure *failure, const char *format, ...) {
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT(TEXT_LIMIT);
        va_list arguments;

        va_start(arguments, format);
        strbuf_vappendf(&out, format, arguments);
        va_end(arguments);
        return session_print(session, &out, failure);
}
