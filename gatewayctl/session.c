/* SPDX-License-Identifier: Apache-2.0 */
#include "session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/time.h"
#include "commands.h"
#include "loop/mqtt.h"
#include "sign.h"
#include "transport_broker.h"
#include "transport_socket.h"

#define PASSWORD_MAX 4096

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
        signer_free(session->signer);
        session->signer = NULL;
        loop_free(session->loop);
        session->loop = NULL;
        profile_free(session->profile);
        session->profile = NULL;
        if (session->password)
                explicit_bzero(session->password, strlen(session->password));
        free(session->password);
        session->password = NULL;
        free(session->audience_name);
        session->audience_name = NULL;
        json_free(session->missing);
        session->missing = NULL;
}

/* --- who it is for --- */

static const char *given(const struct session *session, const char *option) {
        const struct option_info *info = option_find(session->arguments->verb, option);

        if (!info)
                return NULL;
        if (info->kind == VALUE_NONE)
                return arguments_flag(session->arguments, option) ? "" : NULL;
        return arguments_text(session->arguments, option);
}

const char *session_setting(const struct session *session, const char *option) {
        const char *value = given(session, option);

        return value ? value : profile_value(session->profile, option);
}

static int read_profile(struct session *session, struct failure *failure) {
        const char *name = given(session, "profile"), *environment = getenv("GATEWAYCTL_PROFILE");

        if (!name && environment && environment[0])
                name = environment;
        return name && !session->profile ? profile_new(name, &session->profile, failure) : 0;
}

/* The socket that was given goes before the broker of a profile. */
static const char *broker_url(const struct session *session) {
        return given(session, "socket") ? NULL : session_setting(session, "broker");
}

int session_choose(struct session *session, enum audience_kind kind, const char *name, struct failure *failure) {
        char *copy = name ? strdup(name) : NULL;

        if (name && !copy)
                return failure_errno(failure, -ENOMEM);
        free(session->audience_name);
        session->audience_name = copy;
        session->audience = (struct audience){ .kind = kind, .name = copy };
        session->audience_is_default = false;
        return 0;
}

static int choose_audience(struct session *session, struct failure *failure) {
        static const struct {
                const char *option;
                enum audience_kind kind;
        } ways[] = { { "gateway", AUDIENCE_GATEWAY }, { "group", AUDIENCE_GROUP }, { "all", AUDIENCE_ALL } };
        bool is_remote = broker_url(session);
        size_t n_given = 0;

        session->audience = (struct audience){ .kind = is_remote ? AUDIENCE_ALL : AUDIENCE_LOCAL };
        session->audience_is_default = true;
        for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
                n_given += given(session, ways[i].option) != NULL;
        if (n_given > 1)
                return failure_set(failure, EXIT_CODE_USAGE, "usage", "--gateway, --group and --all exclude each other");
        if (n_given > 0 && !is_remote)
                return failure_set(failure, EXIT_CODE_USAGE, "usage",
                                   "--gateway, --group and --all need --broker URL, or a profile with one");
        for (size_t i = 0; i < ARRAY_SIZE(ways) && is_remote; i++) {
                const char *value = n_given > 0 ? given(session, ways[i].option) : session_setting(session, ways[i].option);
                if (!value)
                        continue;
                if (ways[i].kind != AUDIENCE_ALL && !str_is_gateway_id(value))
                        return failure_set(failure, EXIT_CODE_USAGE, "usage", "--%s %s: expected 1 to 63 of a-z, 0-9 and -", ways[i].option,
                                           value);
                session->audience = (struct audience){ .kind = ways[i].kind, .name = ways[i].kind == AUDIENCE_ALL ? NULL : value };
                session->audience_is_default = false;
        }
        return 0;
}

int session_settle(struct session *session, struct failure *failure) {
        int r = read_profile(session, failure);

        if (r == 0 && given(session, "socket") && given(session, "broker"))
                r = failure_set(failure, EXIT_CODE_USAGE, "usage", "--socket and --broker exclude each other");
        if (r == 0 && !session->settled)
                r = choose_audience(session, failure);
        session->settled = r == 0;
        return r;
}

bool session_is_remote(const struct session *session) {
        return session->audience.kind != AUDIENCE_LOCAL;
}

bool session_is_many(const struct session *session) {
        return audience_is_many(&session->audience);
}

/* --- the connection --- */

static const char *socket_path(const struct session *session) {
        const char *path = session_setting(session, "socket"), *environment = getenv("GATEWAYD_SOCKET");

        if (path)
                return path;
        return environment && environment[0] ? environment : TRANSPORT_SOCKET_DEFAULT;
}

static int read_password(struct session *session, struct failure *failure) {
        const char *path = session_setting(session, "password-file");
        size_t size;
        int r = path && !session->password ? file_read(path, PASSWORD_MAX, &session->password, &size, failure) : 0;

        if (r == 0 && session->password)
                session->password[strcspn(session->password, "\r\n")] = '\0';
        return r;
}

static int make_broker(void *ctx, struct loop *loop, const struct transport_handler *handler, void *handler_ctx,
                       struct transport **ret_transport) {
        return transport_broker_new(loop, ctx, handler, handler_ctx, ret_transport);
}

static int make_socket(void *ctx, struct loop *loop, const struct transport_handler *handler, void *handler_ctx,
                       struct transport **ret_transport) {
        return transport_socket_new(loop, ctx, handler, handler_ctx, ret_transport);
}

static int connect_broker(struct session *session, const char *text, struct failure *failure) {
        struct broker_options options = {
                .root = session_setting(session, "root"),
                .client = session_setting(session, "client"),
                .user = session_setting(session, "user"),
                .ca_file = session_setting(session, "ca-file"),
                .certificate = session_setting(session, "cert"),
                .key = session_setting(session, "cert-key"),
        };
        const struct client_place place = { .make = make_broker, .ctx = &options, .audience = session->audience };
        struct gw_error err = { 0 };
        struct mqtt_url url;
        int r = mqtt_url_parse(text, &url, &err);

        if (r < 0)
                return failure_set(failure, EXIT_CODE_USAGE, err.name, "%s", err.text);
        if (options.client && !str_is_id(options.client))
                return failure_set(failure, EXIT_CODE_USAGE, "usage", "client %s: expected 1 to 64 of A-Z, a-z, 0-9, _ . -",
                                   options.client);
        r = read_password(session, failure);
        if (r < 0)
                return r;
        options.host = url.host;
        options.port = url.port;
        options.tls = url.tls;
        options.password = session->password;
        r = client_new(session->loop, &place, &session->client, failure);
        if (r == 0 && client_is_incomplete(session->client))
                fprintf(stderr,
                        "gatewayctl: the broker did not hand over the status of all gateways: it queues too few messages for one client "
                        "(mosquitto: max_queued_messages)\n");
        return r;
}

int session_connect(struct session *session, struct failure *failure) {
        int r = 0;

        if (session->client)
                return 0;
        if (!session->loop && (r = loop_new(&session->loop)) < 0)
                return failure_errno(failure, r);
        r = session_settle(session, failure);
        if (r < 0)
                return r;
        if (session_is_remote(session))
                return connect_broker(session, broker_url(session), failure);
        return client_new(session->loop, &(struct client_place){ .make = make_socket, .ctx = (void *) socket_path(session) },
                          &session->client, failure);
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
