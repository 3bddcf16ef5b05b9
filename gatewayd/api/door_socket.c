/* SPDX-License-Identifier: Apache-2.0 */
#include "api/door_socket.h"

#include <grp.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/str.h"
#include "loop/local_socket.h"

struct door_socket {
        struct api *api;
        struct local_server *server;
        struct list clients;
        bool has_group;
        gid_t group;
};

struct client {
        struct caller caller;
        struct list link;                    /* door_socket.clients */
        struct local_connection *connection; /* NULL: it ended */
        bool in_line;                        /* one of its lines is being carried out: it is freed behind that */
};

static struct client *client_of(const struct caller *caller) {
        return container_of(caller, struct client, caller);
}

static void client_end(struct client *client) {
        if (client->connection) {
                local_connection_close(TAKE_PTR(client->connection));
                caller_gone(&client->caller);
        }
        if (client->in_line)
                return;
        list_remove(&client->link);
        free(client);
}

/* --- as the callers see it --- */

static int client_send(struct caller *caller, const char *line, size_t size) {
        struct client *client = client_of(caller);
        return client->connection ? local_connection_send(client->connection, line, size) : -EPIPE;
}

static size_t client_queued_bytes(const struct caller *caller) {
        const struct client *client = client_of(caller);
        return client->connection ? local_connection_queued_bytes(client->connection) : 0;
}

static void client_cut(struct caller *caller) {
        client_end(client_of(caller));
}

static const struct caller_ops client_ops = { .send = client_send, .queued_bytes = client_queued_bytes, .cut = client_cut };

/* --- as the connection sees it --- */

static void line_came(void *ctx, char *line, size_t size, int *fd) {
        struct client *client = ctx;
        client->in_line = true;
        call_line(&client->caller, line, size, fd);
        client->in_line = false;
        if (!client->connection)
                client_end(client);
}

static void drained(void *ctx) {
        struct client *client = ctx;
        caller_drained(&client->caller);
}

static void log_end(const struct client *client, int why) {
        struct log_fields fields = { .error = "request-invalid" };
        if (why == -EMSGSIZE)
                log_warning(&fields, "control socket, %s: a line above %u bytes; closed", client->caller.principal, CONTROL_LINE_MAX);
        else if (why == -ENOBUFS)
                log_notice(NULL, "control socket, %s: does not read what it asked for; closed", client->caller.principal);
}

static void closed(void *ctx, int why) {
        struct client *client = ctx;
        log_end(client, why);
        client->connection = NULL; /* gone by itself */
        caller_gone(&client->caller);
        client_end(client);
}

static const struct local_connection_handler connection_handler = { .line = line_came, .drained = drained, .closed = closed };

/* --- who may what --- */

static bool may_control(const struct door_socket *socket, const struct local_peer *peer) {
        return peer->uid == 0 || peer->uid == geteuid() || (socket->has_group && local_peer_in_group(peer, socket->group));
}

static size_t count_readers(const struct door_socket *socket) {
        size_t n_readers = 0;
        const struct client *client;
        LIST_FOREACH(client, &socket->clients, link)
        n_readers += client->caller.authority == CALLER_READS;
        return n_readers;
}

static int accepted(void *ctx, struct local_connection *connection, const struct local_connection_handler **ret_handler, void **ret_ctx) {
        struct door_socket *socket = ctx;
        const struct local_peer *peer = local_connection_peer(connection);
        bool control = may_control(socket, peer);
        struct client *client;
        if (!control && count_readers(socket) >= CONTROL_READERS_MAX)
                return -EUSERS;
        client = calloc(1, sizeof *client);
        if (!client)
                return -ENOMEM;
        client->connection = connection;
        client->caller.ops = &client_ops;
        client->caller.door = "socket";
        client->caller.authority = control ? CALLER_COMMANDS : CALLER_READS;
        (void) str_format(client->caller.principal, sizeof client->caller.principal, "uid:%" PRIu32, (uint32_t) peer->uid);
        caller_init(&client->caller, socket->api);
        list_append(&socket->clients, &client->link);
        *ret_handler = &connection_handler;
        *ret_ctx = client;
        return 0;
}

static const struct local_server_handler server_handler = { .accepted = accepted };

void door_socket_set_group(struct door_socket *socket, const char *name) {
        const struct group *group = name[0] ? getgrnam(name) : NULL;
        socket->has_group = group;
        if (group)
                socket->group = group->gr_gid;
        else if (name[0])
                log_warning(&(struct log_fields){ .error = "group-unknown" },
                            "there is no group '%s'; only root and gatewayd's own user may give commands", name);
}

/* What somebody reads who is one too many. */
static char *busy_line(const struct api *api) {
        struct command_failure failure = { .code = COMMAND_CODE_FAILED, .advice = error_advice(api->options.registry, "too-many-clients") };
        _cleanup_json_ struct json *reply = NULL;
        struct gw_error err;
        char *text = NULL;
        gw_error_set(&err, "too-many-clients", "the control socket already serves %d clients, or %d that may only read",
                     CONTROL_CLIENTS_MAX, CONTROL_READERS_MAX);
        failure.err = &err;
        if (command_reply_error(NULL, api->options.gateway_id, &failure, &reply) >= 0)
                (void) json_write(reply, &text, NULL);
        return text;
}

int door_socket_new(struct api *api, struct door_socket **ret_socket, struct gw_error *err) {
        const struct settings *settings = api->options.settings;
        _cleanup_free_ char *busy = busy_line(api);
        struct local_server_options options = { .path = settings->gateway.control_socket,
                                                .mode = 0666, /* whoever connects: may_control() decides */
                                                .group = settings->gateway.control_group[0] ? settings->gateway.control_group : NULL,
                                                .clients_max = CONTROL_CLIENTS_MAX,
                                                .busy_line = busy,
                                                .limits = { .line_max = CONTROL_LINE_MAX, .output_max = CONTROL_OUTPUT_MAX } };
        struct door_socket *socket = calloc(1, sizeof *socket);
        int r;
        if (!socket)
                return -ENOMEM;
        socket->api = api;
        list_init(&socket->clients);
        r = local_server_new(api->options.loop, &options, &server_handler, socket, &socket->server, err);
        if (r < 0) {
                free(socket);
                return r;
        }
        door_socket_set_group(socket, settings->gateway.control_group);
        *ret_socket = socket;
        return 0;
}

void door_socket_stop(struct door_socket *socket) {
        local_server_free(TAKE_PTR(socket->server));
}

void door_socket_free(struct door_socket *socket) {
        struct client *client, *spare;
        if (!socket)
                return;
        door_socket_stop(socket);
        LIST_FOREACH_SAFE(client, spare, &socket->clients, link)
        client_end(client);
        free(socket);
}
