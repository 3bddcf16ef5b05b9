/* SPDX-License-Identifier: Apache-2.0 */
#include "transport_socket.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/str.h"
#include "document/limits.h"
#include "loop/local_socket.h"

struct transport_socket {
        struct transport transport;
        struct loop *loop;
        struct local_connection *connection; /* NULL: closed */
        struct loop_deferral *opening;
        char *path;
};

static struct transport_socket *socket_of(struct transport *transport) {
        return (struct transport_socket *) transport;
}

static void on_line(void *ctx, char *line, size_t size, int *fd) {
        struct transport *transport = ctx;

        (void) fd;
        transport->handler->message(transport->ctx, line, size);
}

static void on_closed(void *ctx, int why) {
        struct transport_socket *socket = ctx;
        struct gw_error err = { 0 };

        socket->connection = NULL;
        loop_defer_cancel(socket->opening);
        socket->opening = NULL;
        if (why == -EMSGSIZE)
                gw_error_set(&err, "reply-invalid", "what answers on %s does not speak the language of gatewayd", socket->path);
        else if (why < 0)
                gw_error_set(&err, "daemon-not-running", "the connection to the daemon broke: %s", strerror(-why));
        else
                gw_error_set(&err, "daemon-not-running", "the daemon closed the connection");
        socket->transport.handler->closed(socket->transport.ctx, &err);
}

static const struct local_connection_handler connection_handler = { .line = on_line, .closed = on_closed };

static void on_opened(void *ctx) {
        struct transport_socket *socket = ctx;

        socket->opening = NULL;
        socket->transport.handler->opened(socket->transport.ctx);
}

static int socket_open(struct transport *transport, struct gw_error *err) {
        static const struct local_connection_limits limits = { .line_max = JSON_REPLY_MAX, .output_max = 2 * CONTROL_LINE_MAX };
        struct transport_socket *socket = socket_of(transport);
        int r = local_socket_connect(socket->loop, socket->path, &limits, &connection_handler, socket, &socket->connection, err);

        return r < 0 ? r : loop_defer(socket->loop, on_opened, socket, &socket->opening);
}

static bool socket_is_open(const struct transport *transport) {
        const struct transport_socket *socket = (const struct transport_socket *) transport;

        return socket->connection && !socket->opening;
}

static void socket_close(struct transport *transport) {
        struct transport_socket *socket = socket_of(transport);

        loop_defer_cancel(socket->opening);
        socket->opening = NULL;
        local_connection_close(socket->connection);
        socket->connection = NULL;
}

static void socket_free(struct transport *transport) {
        socket_close(transport);
        free(socket_of(transport)->path);
        free(transport);
}

static int socket_send(struct transport *transport, const struct transport_request *request) {
        struct local_connection *connection = socket_of(transport)->connection;

        if (!connection)
                return -EPIPE;
        if (request->fd >= 0)
                return local_connection_send_fd(connection, request->text, request->size, request->fd);
        return local_connection_send(connection, request->text, request->size);
}

static const struct transport_ops socket_ops = {
        .open = socket_open,
        .is_open = socket_is_open,
        .close = socket_close,
        .free = socket_free,
        .send = socket_send,
};

int transport_socket_new(struct loop *loop, const char *path, const struct transport_handler *handler, void *ctx,
                         struct transport **ret_transport) {
        struct transport_socket *socket = calloc(1, sizeof *socket);

        if (!socket)
                return -ENOMEM;
        socket->transport = (struct transport){ .ops = &socket_ops, .handler = handler, .ctx = ctx, .text_max = CONTROL_LINE_MAX };
        str_copy(socket->transport.label, sizeof socket->transport.label, path);
        socket->loop = loop;
        socket->path = strdup(path);
        if (!socket->path) {
                free(socket);
                return -ENOMEM;
        }
        *ret_transport = &socket->transport;
        return 0;
}
