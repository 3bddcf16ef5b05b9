/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "document/command.h"
#include "loop/local_socket.h"
#include "loop/timer.h"

struct client {
        struct loop *loop;
        char *path;
        char *gateway;
        struct local_connection *connection; /* NULL: broken */
        struct timer *timer;
        struct loop_signal *signals[2];
        client_notified notified;
        void *notified_ctx;
        int64_t last_id;
        struct command_reply reply; /* of last_id, where answered */
        bool answered;
        bool timed_out;
        bool interrupted;
        bool garbage; /* a line that is neither a reply nor a notification */
        int closed_why;
};

/* --- what comes in --- */

static void keep_gateway(struct client *client, const char *gateway) {
        if (!gateway || str_equal(gateway, client->gateway))
                return;
        free(client->gateway);
        client->gateway = strdup(gateway);
}

static void on_line(void *ctx, char *line, size_t size, int *fd) {
        struct client *client = ctx;
        _cleanup_command_reply_ struct command_reply reply = { 0 };

        (void) fd;
        if (command_reply_read(line, size, &reply, NULL) < 0) {
                client->garbage = true;
                return;
        }
        keep_gateway(client, reply.gateway);
        if (reply.method) {
                if (client->notified)
                        client->notified(client->notified_ctx, reply.method, reply.params);
                return;
        }
        /* A refusal without an id is what a daemon says to a connection that it does not want. */
        if (client->answered || (reply.id != client->last_id && !(reply.id == -1 && !reply.result)))
                return;
        client->reply = reply;
        client->answered = true;
        memset(&reply, 0, sizeof reply);
}

static void on_closed(void *ctx, int why) {
        struct client *client = ctx;

        client->connection = NULL;
        client->closed_why = why;
}

static void on_timer(void *ctx) {
        struct client *client = ctx;

        client->timer = NULL;
        client->timed_out = true;
}

static void on_signal(void *ctx, int signum) {
        struct client *client = ctx;

        (void) signum;
        client->interrupted = true;
}

static const struct local_connection_handler handler = { .line = on_line, .closed = on_closed };

/* --- the connection --- */

int client_new(struct loop *loop, const char *path, struct client **ret_client, struct failure *failure) {
        struct client *client = calloc(1, sizeof *client);
        int r;

        if (!client)
                return failure_errno(failure, -ENOMEM);
        client->loop = loop;
        client->path = strdup(path);
        r = client->path ? client_reconnect(client, failure) : failure_errno(failure, -ENOMEM);
        if (r < 0) {
                client_free(client);
                return r;
        }
        *ret_client = client;
        return 0;
}

void client_free(struct client *client) {
        if (!client)
                return;
        for (size_t i = 0; i < ARRAY_SIZE(client->signals); i++)
                loop_signal_remove(client->signals[i]);
        timer_cancel(client->timer);
        local_connection_close(client->connection);
        if (client->answered)
                command_reply_deinit(&client->reply);
        free(client->gateway);
        free(client->path);
        free(client);
}

int client_reconnect(struct client *client, struct failure *failure) {
        static const struct local_connection_limits limits = { .line_max = JSON_REPLY_MAX, .output_max = 2 * CONTROL_LINE_MAX };
        struct gw_error err = { 0 };
        int r;

        local_connection_close(client->connection);
        client->connection = NULL;
        client->garbage = false;
        r = local_socket_connect(client->loop, client->path, &limits, &handler, client, &client->connection, &err);
        if (r < 0)
                return gw_error_is_set(&err) ? failure_from(failure, &err) : failure_errno(failure, r);
        return 0;
}

bool client_is_connected(const struct client *client) {
        return client->connection;
}

void client_listen(struct client *client, client_notified notified, void *ctx) {
        client->notified = notified;
        client->notified_ctx = ctx;
}

int client_catch_signals(struct client *client) {
        static const int signums[ARRAY_SIZE(client->signals)] = { SIGINT, SIGTERM };
        int r = 0;

        for (size_t i = 0; i < ARRAY_SIZE(signums) && r == 0; i++)
                if (!client->signals[i])
                        r = loop_signal(client->loop, signums[i], on_signal, client, &client->signals[i]);
        return r;
}

bool client_is_interrupted(const struct client *client) {
        return client->interrupted;
}

const char *client_gateway(const struct client *client) {
        return client->gateway;
}

/* --- waiting --- */

static int start_timer(struct client *client, int64_t delay_ms) {
        timer_cancel(client->timer);
        client->timer = NULL;
        client->timed_out = false;
        return delay_ms < 0 ? 0 : timer_start(client->loop, delay_ms, on_timer, client, &client->timer);
}

static void stop_timer(struct client *client) {
        timer_cancel(client->timer);
        client->timer = NULL;
}

int client_wait(struct client *client, int64_t max_ms) {
        int r;

        if (client->interrupted)
                return -EINTR;
        if (!client->connection)
                return -EPIPE;
        r = start_timer(client, max_ms);
        if (r < 0)
                return r;
        loop_run_once(client->loop);
        stop_timer(client);
        if (client->interrupted)
                return -EINTR;
        return client->connection ? 0 : -EPIPE;
}

void client_pause(struct client *client, int64_t duration_ms) {
        if (start_timer(client, duration_ms) < 0)
                return;
        while (!client->timed_out && !client->interrupted)
                loop_run_once(client->loop);
        stop_timer(client);
}

static int wait_answer(struct client *client, int64_t timeout_ms, const char *method, struct failure *failure) {
        int r = start_timer(client, timeout_ms);

        if (r < 0)
                return failure_errno(failure, r);
        while (client->connection && !client->answered && !client->timed_out && !client->interrupted && !client->garbage)
                loop_run_once(client->loop);
        stop_timer(client);
        if (client->answered)
                return 0;
        if (client->interrupted)
                return failure_set(failure, EXIT_CODE_UNFINISHED, "interrupted", "interrupted while waiting for the answer to %s", method);
        if (client->timed_out)
                return failure_set(failure, EXIT_CODE_UNFINISHED, "reply-timeout", "no answer to %s within %lld ms", method,
                                   (long long) timeout_ms);
        if (client->garbage || client->closed_why == -EMSGSIZE)
                return failure_set(failure, EXIT_CODE_INTERNAL, "reply-invalid",
                                   "what answers on %s does not speak the language of gatewayd", client->path);
        return failure_set(failure, EXIT_CODE_NO_DAEMON, "daemon-not-running", "the daemon closed the connection before it answered to %s",
                           method);
}

static int send_request(struct client *client, const struct client_request *request, struct failure *failure) {
        _cleanup_json_ struct json *tree = NULL;
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r = command_request(++client->last_id, request->method, request->params, &tree);

        if (r == 0)
                r = json_write(tree, &text, &size);
        if (r < 0)
                return failure_errno(failure, r);
        if (size > CONTROL_LINE_MAX)
                return failure_set(failure, EXIT_CODE_REFUSED, "document-too-large",
                                   "the request is larger than the %u bytes that the daemon reads", CONTROL_LINE_MAX);
        if (!client->connection)
                r = -EPIPE;
        else if (request->with_fd)
                r = local_connection_send_fd(client->connection, text, size, request->fd);
        else
                r = local_connection_send(client->connection, text, size);
        if (r == -ENOMEM || r == -EBUSY)
                return failure_errno(failure, r);
        return r == 0 ? 0
                      : failure_set(failure, EXIT_CODE_NO_DAEMON, "daemon-not-running", "the connection to the daemon broke: %s",
                                    strerror(-r));
}

/* The daemon's advice counts: it knows the names of its plugins. */
static int refused(const struct command_reply *reply, struct failure *failure) {
        failure_from(failure, &reply->error);
        if (reply->error_advice)
                str_copy(failure->advice, sizeof failure->advice, reply->error_advice);
        if (reply->errors) {
                json_free(failure->mistakes);
                failure->mistakes = NULL;
                json_copy(reply->errors, &failure->mistakes);
        }
        return -EBADMSG;
}

static void forget_answer(struct client *client) {
        if (client->answered)
                command_reply_deinit(&client->reply);
        client->answered = false;
}

int client_call(struct client *client, const struct client_request *request, struct json **ret_result, struct failure *failure) {
        int64_t timeout_ms = request->timeout_ms == 0 ? CLIENT_REPLY_TIMEOUT_MS : request->timeout_ms;
        int r;

        forget_answer(client);
        r = send_request(client, request, failure);
        if (r == 0)
                r = wait_answer(client, timeout_ms, request->method, failure);
        if (r < 0)
                return r;
        if (!client->reply.result) {
                r = refused(&client->reply, failure);
        } else {
                /* The tree lends it; a reference keeps it alive beyond the tree. */
                *ret_result = json_ref((struct json *) client->reply.result);
        }
        forget_answer(client);
        return r;
}
