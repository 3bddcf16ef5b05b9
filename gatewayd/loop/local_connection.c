/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/local_connection.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "loop/loop_internal.h"

/* The queued descriptor leaves together with exactly its line, so that the receiver knows which one it belongs to. */
struct queued_descriptor {
        int fd;
        size_t bytes_before; /* in the queue */
        size_t line_bytes;
};

struct local_connection {
        struct loop *loop;
        uv_poll_t poll;
        struct loop_deferral end;
        const struct local_connection_handler *handler;
        void *handler_ctx;
        loop_fn released;
        void *released_ctx;
        struct local_connection_limits limits;
        struct buffer input; /* the beginning of a line */
        struct buffer output;
        struct queued_descriptor queued;
        int fd;
        int line_fd; /* came with the line whose beginning is in input */
        int why;     /* of `closed` */
        bool ending; /* nothing is read or written any more */
        bool finishing;
        bool gone; /* the handle is no longer the owner's */
        struct local_peer peer;
};

/* ---- the end */

static void close_fd(int *fd) {
        if (*fd >= 0)
                close(*fd);
        *fd = -1;
}

static void on_poll_closed(uv_handle_t *handle) {
        struct local_connection *connection = handle->data;

        close_fd(&connection->fd);
        close_fd(&connection->line_fd);
        close_fd(&connection->queued.fd);
        buffer_deinit(&connection->input);
        buffer_deinit(&connection->output);
        loop_scratch_release(connection->loop);
        free(connection);
}

void local_connection_close(struct local_connection *connection) {
        if (!connection || connection->gone)
                return;
        connection->gone = true;
        connection->ending = true;
        loop_deferral_cancel(&connection->end);
        uv_close((uv_handle_t *) &connection->poll, on_poll_closed);
        if (connection->released)
                connection->released(connection->released_ctx);
}

static void on_end(void *ctx) {
        struct local_connection *connection = ctx;

        local_connection_close(connection);
        connection->handler->closed(connection->handler_ctx, connection->why);
}

static void end_later(struct local_connection *connection, int why) {
        if (connection->ending)
                return;
        connection->ending = true;
        connection->why = why;
        uv_poll_stop(&connection->poll);
        loop_deferral_schedule(&connection->end);
}

/* A peer that went away while we wrote is a peer that closed. */
static int end_reason(int error) {
        return error == EPIPE || error == ECONNRESET ? 0 : -error;
}

/* ---- polling */

static void on_poll(uv_poll_t *poll, int status, int events);

/* Reads unless the peer has half of what it may leave unread to fetch first; writes while something is queued. */
static void poll_update(struct local_connection *connection) {
        size_t n_queued = buffer_size(&connection->output);
        int events = n_queued > 0 ? UV_WRITABLE : 0;

        if (connection->ending)
                return;
        if (!connection->finishing && n_queued <= connection->limits.output_max / 2)
                events |= UV_READABLE;
        /* A peer that vanishes is noticed even while nothing is read; one that only reads the rest may close its half. */
        if (!connection->finishing)
                events |= UV_DISCONNECT;
        uv_poll_start(&connection->poll, events, on_poll);
}

/* ---- reading */

static void deliver_line(struct local_connection *connection, char *line, size_t size, int fd) {
        if (size > connection->limits.line_max)
                end_later(connection, -EMSGSIZE);
        else
                connection->handler->line(connection->handler_ctx, line, size, &fd);
        close_fd(&fd);
}

/* `data` ends a line: data[size] is its '\n', which becomes its terminator. */
static void line_complete(struct local_connection *connection, char *data, size_t size, int fd) {
        data[size] = '\0';
        if (buffer_size(&connection->input) == 0) {
                deliver_line(connection, data, size, fd);
                return;
        }
        if (buffer_append(&connection->input, data, size + 1) < 0) {
                close_fd(&fd);
                end_later(connection, -EMSGSIZE);
                return;
        }
        deliver_line(connection, (char *) buffer_data(&connection->input), buffer_size(&connection->input) - 1, fd);
        buffer_deinit(&connection->input); /* one long line is no reason to keep its memory */
}

static void keep_line_fd(struct local_connection *connection, int fd) {
        if (connection->line_fd >= 0)
                close_fd(&fd);
        else
                connection->line_fd = fd;
}

/*
 * The kernel ends a read behind the message that carried a descriptor, so it belongs to the line in which the last byte of the chunk
 * lies, and never to the lines before.
 */
static void take_chunk(struct local_connection *connection, char *data, size_t size, int fd) {
        while (size > 0 && !connection->ending && !connection->finishing) {
                char *newline = memchr(data, '\n', size);
                size_t line_size = newline ? (size_t) (newline - data) : size;

                if (!newline || line_size + 1 == size)
                        keep_line_fd(connection, TAKE_FD(fd));
                if (!newline) {
                        if (buffer_append(&connection->input, data, size) < 0 ||
                            buffer_size(&connection->input) > connection->limits.line_max)
                                end_later(connection, -EMSGSIZE);
                        return;
                }
                line_complete(connection, data, line_size, TAKE_FD(connection->line_fd));
                data += line_size + 1;
                size -= line_size + 1;
        }
        close_fd(&fd);
}

/* The first descriptor that came; all others are closed. */
static int take_descriptors(struct msghdr *message) {
        int kept = -1;

        for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
                if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
                        continue;
                for (size_t at = 0; CMSG_LEN(at + sizeof(int)) <= header->cmsg_len; at += sizeof(int)) {
                        int fd;

                        memcpy(&fd, CMSG_DATA(header) + at, sizeof fd);
                        if (kept < 0)
                                kept = fd;
                        else
                                close(fd);
                }
        }
        return kept;
}

static void receive(struct local_connection *connection) {
        char *scratch = (char *) connection->loop->scratch;
        union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(sizeof(int))]; /* the kernel does not even install what finds no room */
        } control;
        struct iovec slot = { .iov_base = scratch, .iov_len = LOOP_SCRATCH_SIZE };
        struct msghdr message = { .msg_iov = &slot, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
        ssize_t n = recvmsg(connection->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

        if (n > 0)
                take_chunk(connection, scratch, (size_t) n, take_descriptors(&message));
        else if (n == 0)
                end_later(connection, 0);
        else if (errno != EAGAIN && errno != EINTR)
                end_later(connection, end_reason(errno));
}

/* ---- writing */

/* Bytes taken by the kernel, or negative errno. */
static ssize_t send_some(int socket_fd, struct iovec *parts, size_t n_parts, int fd) {
        union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(sizeof(int))];
        } control = { 0 };
        struct msghdr message = { .msg_iov = parts, .msg_iovlen = n_parts };
        ssize_t n;

        if (fd >= 0) {
                control.header = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof fd) };
                memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
                message.msg_control = &control;
                message.msg_controllen = sizeof control;
        }
        n = sendmsg(socket_fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n >= 0)
                return n;
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

/* The next piece of the queue: up to a line that brings a descriptor, or that line, or all. */
static ssize_t flush_piece(struct local_connection *connection) {
        struct queued_descriptor *queued = &connection->queued;
        struct iovec part = { .iov_base = (void *) buffer_data(&connection->output), .iov_len = buffer_size(&connection->output) };
        bool is_descriptors_turn = queued->fd >= 0 && queued->bytes_before == 0;
        ssize_t n;

        if (is_descriptors_turn)
                part.iov_len = queued->line_bytes;
        else if (queued->fd >= 0)
                part.iov_len = queued->bytes_before;
        n = send_some(connection->fd, &part, 1, is_descriptors_turn ? queued->fd : -1);
        if (n <= 0)
                return n;
        buffer_consume(&connection->output, (size_t) n);
        if (is_descriptors_turn)
                close_fd(&queued->fd);
        else if (queued->fd >= 0)
                queued->bytes_before -= (size_t) n;
        return n;
}

static void flush(struct local_connection *connection) {
        ssize_t n = 1;

        while (n > 0 && buffer_size(&connection->output) > 0)
                n = flush_piece(connection);
        if (n < 0) {
                end_later(connection, end_reason((int) -n));
                return;
        }
        poll_update(connection);
        if (buffer_size(&connection->output) > 0)
                return;
        buffer_deinit(&connection->output);
        if (connection->finishing)
                end_later(connection, 0);
        else if (connection->handler->drained)
                connection->handler->drained(connection->handler_ctx);
}

static int queue_rest(struct local_connection *connection, const char *line, size_t size, size_t n_sent, int fd) {
        struct buffer *output = &connection->output;
        size_t n_before = buffer_size(output);
        int r = 0;

        if (size + 1 - n_sent > buffer_room(output)) {
                end_later(connection, -ENOBUFS);
                return -ENOBUFS;
        }
        if (n_sent == 0 && fd >= 0) {
                int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

                if (copy < 0)
                        return -errno;
                connection->queued = (struct queued_descriptor){ .fd = copy, .bytes_before = n_before, .line_bytes = size + 1 };
        }
        if (n_sent < size)
                r = buffer_append(output, line + n_sent, size - n_sent);
        if (r == 0)
                r = buffer_append(output, "\n", 1);
        /* Half a line cannot be taken back. */
        if (r < 0)
                end_later(connection, r);
        poll_update(connection);
        return r;
}

int local_connection_send_fd(struct local_connection *connection, const char *line, size_t size, int fd) {
        struct iovec parts[] = { { .iov_base = (void *) line, .iov_len = size }, { .iov_base = (void *) "\n", .iov_len = 1 } };
        ssize_t n_sent = 0;

        if (connection->ending || connection->finishing)
                return -EPIPE;
        if (fd >= 0 && connection->queued.fd >= 0)
                return -EBUSY;
        if (buffer_size(&connection->output) == 0)
                n_sent = send_some(connection->fd, parts, ARRAY_SIZE(parts), fd);
        if (n_sent < 0) {
                end_later(connection, end_reason((int) -n_sent));
                return -EPIPE;
        }
        if ((size_t) n_sent == size + 1)
                return 0;
        return queue_rest(connection, line, size, (size_t) n_sent, fd);
}

int local_connection_send(struct local_connection *connection, const char *line, size_t size) {
        return local_connection_send_fd(connection, line, size, -1);
}

size_t local_connection_queued_bytes(const struct local_connection *connection) {
        return buffer_size(&connection->output);
}

void local_connection_finish(struct local_connection *connection) {
        connection->finishing = true;
        if (buffer_size(&connection->output) == 0)
                end_later(connection, 0);
        else
                poll_update(connection);
}

/* Reading first: what a peer sent before it vanished still counts. */
static void on_poll(uv_poll_t *poll, int status, int events) {
        struct local_connection *connection = poll->data;
        bool is_gone = status < 0 || (events & UV_DISCONNECT);

        if (!connection->finishing && (status < 0 || (events & UV_READABLE)))
                receive(connection);
        if (!connection->ending && (events & UV_WRITABLE))
                flush(connection);
        if (connection->ending || !is_gone)
                return;
        /* More to read comes in the next turns, and then the end of the stream. */
        if (status < 0 || !(events & UV_READABLE))
                end_later(connection, 0);
}

/* ---- the beginning */

static int read_peer(int fd, struct local_peer *peer) {
        struct ucred credentials;
        socklen_t size = sizeof credentials;

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0)
                return -errno;
        *peer = (struct local_peer){ .uid = credentials.uid, .gid = credentials.gid, .pid = credentials.pid };
        size = sizeof peer->groups;
        /* More groups than we keep: then none counts, and only uid and gid speak for the peer. */
        if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, peer->groups, &size) == 0)
                peer->n_groups = size / sizeof peer->groups[0];
        return 0;
}

int local_connection_new(struct loop *loop, int fd, const struct local_connection_limits *limits, loop_fn released, void *released_ctx,
                         struct local_connection **ret_connection) {
        _cleanup_close_ int owned = fd;
        _cleanup_free_ struct local_connection *connection = calloc(1, sizeof *connection);
        int r;

        if (!connection)
                return -ENOMEM;
        r = read_peer(fd, &connection->peer);
        if (r < 0)
                return r;
        r = loop_scratch_acquire(loop);
        if (r < 0)
                return r;
        r = uv_poll_init(&loop->uv, &connection->poll, fd);
        if (r < 0) {
                loop_scratch_release(loop);
                return r;
        }
        connection->poll.data = connection;
        connection->loop = loop;
        connection->limits = *limits;
        connection->released = released;
        connection->released_ctx = released_ctx;
        connection->fd = TAKE_FD(owned);
        connection->line_fd = -1;
        connection->queued.fd = -1;
        /* A line and its terminator. */
        buffer_init(&connection->input, limits->line_max + 1);
        buffer_init(&connection->output, limits->output_max);
        loop_deferral_init(&connection->end, loop, on_end, connection);
        *ret_connection = TAKE_PTR(connection);
        return 0;
}

void local_connection_start(struct local_connection *connection, const struct local_connection_handler *handler, void *ctx) {
        connection->handler = handler;
        connection->handler_ctx = ctx;
        poll_update(connection);
}

void local_connection_forget_released(struct local_connection *connection) {
        connection->released = NULL;
}

const struct local_peer *local_connection_peer(const struct local_connection *connection) {
        return &connection->peer;
}

bool local_peer_in_group(const struct local_peer *peer, gid_t gid) {
        if (peer->gid == gid)
                return true;
        for (size_t i = 0; i < peer->n_groups; i++)
                if (peer->groups[i] == gid)
                        return true;
        return false;
}

static void connect_error(struct gw_error *err, const char *path, int r) {
        gw_error_set(err, r == -EACCES ? "permission-denied" : "daemon-not-running", "%s: %s", path, strerror(-r));
}

int local_socket_connect(struct loop *loop, const char *path, const struct local_connection_limits *limits,
                         const struct local_connection_handler *handler, void *ctx, struct local_connection **ret_connection,
                         struct gw_error *err) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        _cleanup_close_ int fd = -1;
        int r = 0;

        if (strlen(path) >= sizeof address.sun_path)
                r = -ENAMETOOLONG;
        else
                strcpy(address.sun_path, path);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (r == 0 && (fd < 0 || connect(fd, (struct sockaddr *) &address, sizeof address) < 0))
                r = -errno;
        if (r == 0)
                r = local_connection_new(loop, TAKE_FD(fd), limits, NULL, NULL, ret_connection);
        if (r < 0) {
                connect_error(err, path, r);
                return r;
        }
        local_connection_start(*ret_connection, handler, ctx);
        return 0;
}
