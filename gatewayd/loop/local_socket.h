/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Unix stream sockets that carry lines: the transport of the control socket, both halves. A line ends with '\n', has a maximum, and
 * may bring one descriptor (SCM_RIGHTS). Knows nothing of what the lines say.
 *
 * Of the connections a server makes, and the one that local_socket_connect() makes, the owner holds the handle until `closed` or
 * until it calls local_connection_close().
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <gatewayd/plugin.h>

#include "loop/loop.h"

#define LOCAL_PEER_GROUPS_MAX 128 /* supplementary groups kept of a peer */

struct local_connection;
struct local_server;

/* Who is at the other end, as the kernel says, at the time of its connect(). */
struct local_peer {
        uid_t uid;
        gid_t gid;
        pid_t pid;
        size_t n_groups;
        gid_t groups[LOCAL_PEER_GROUPS_MAX];
};

struct local_connection_handler {
        /*
         * One line without its '\n', terminated by NUL; it may be changed in place. fd: the descriptor that came with it, or -1; taken by
         * TAKE_FD(*fd), otherwise closed after the call. Closing the connection inside is fine.
         */
        void (*line)(void *ctx, char *line, size_t size, int *fd);
        /* NULL or: all that was sent has left for the kernel. Comes only after something had to be queued. */
        void (*drained)(void *ctx);
        /* The last callback, not after local_connection_close(). why: 0 the peer closed it, or local_connection_finish() is through;
         * -EMSGSIZE it sent too long a line; -ENOBUFS it does not read what is sent; else what the socket says. */
        void (*closed)(void *ctx, int why);
};

struct local_connection_limits {
        size_t line_max;   /* bytes without '\n' */
        size_t output_max; /* unsent bytes before the connection is closed with -ENOBUFS; above half of it nothing is read */
};

/*
 * Sends `size` bytes and a '\n'; the bytes hold no '\n' themselves. Copies, and queues what the kernel does not take. 0; -EPIPE
 * after the end; -ENOBUFS beyond output_max: then `closed` follows, too; -ENOMEM. Never calls back from inside.
 */
int local_connection_send(struct local_connection *connection, const char *line, size_t size);
/* The same with a descriptor, which stays the caller's. -EBUSY while another one is still queued. */
int local_connection_send_fd(struct local_connection *connection, const char *line, size_t size, int fd);
size_t local_connection_queued_bytes(const struct local_connection *connection);

const struct local_peer *local_connection_peer(const struct local_connection *connection);
/* In one of the peer's groups, primary or supplementary? */
bool local_peer_in_group(const struct local_peer *peer, gid_t gid);

/* Ends it now, the handle is invalid, no callback comes. What the kernel has taken is still delivered, what is queued is not. */
void local_connection_close(struct local_connection *connection); /* NULL is fine */
/* Ends it when everything queued has left; nothing more is read, then `closed` comes with 0. */
void local_connection_finish(struct local_connection *connection);

struct local_server_options {
        const char *path;      /* at most 107 bytes; a socket that nobody serves any more is replaced */
        mode_t mode;           /* 0660, or 0666 where the handler looks at the peer */
        const char *group;     /* name, NULL = leave it */
        size_t clients_max;    /* at once */
        const char *busy_line; /* sent to those above clients_max before they are closed, NULL = none */
        struct local_connection_limits limits;
};

struct local_server_handler {
        /* A new peer. 0 with the handler and context of its connection, which the owner now holds; or negative: it is closed, with
         * -EUSERS after busy_line. */
        int (*accepted)(void *ctx, struct local_connection *connection, const struct local_connection_handler **ret_handler,
                        void **ret_ctx);
};

/* Err: socket-unusable (the text says why; -EADDRINUSE: another process serves it), group-unknown. */
int local_server_new(struct loop *loop, const struct local_server_options *options, const struct local_server_handler *handler, void *ctx,
                     struct local_server **ret_server, struct gw_error *err);
/* Stops listening and unlinks the path. Connections live on, they are their owner's. NULL is fine. */
void local_server_free(struct local_server *server);

/* The client's half: connected when it returns. Err: daemon-not-running, permission-denied (-EACCES). */
int local_socket_connect(struct loop *loop, const char *path, const struct local_connection_limits *limits,
                         const struct local_connection_handler *handler, void *ctx, struct local_connection **ret_connection,
                         struct gw_error *err);
