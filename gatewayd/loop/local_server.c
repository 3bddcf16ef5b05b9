/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "loop/local_connection.h"
#include "loop/loop_internal.h"
#include "loop/timer.h"

#define LOCAL_BACKLOG 32
#define LOCAL_ACCEPTS_PER_TURN 16
#define LOCAL_ACCEPT_PAUSE_MS 1000 /* after the process ran out of descriptors */

/* What the server remembers of a connection it has made: that it counts. */
struct local_client {
        struct list node;
        struct local_server *server;
        struct local_connection *connection;
};

struct local_server {
        struct loop *loop;
        uv_poll_t poll;
        int fd;
        const struct local_server_handler *handler;
        void *handler_ctx;
        struct local_connection_limits limits;
        size_t clients_max;
        size_t n_clients;
        struct list clients;
        struct timer *pause;
        char *busy_line;
        struct sockaddr_un address;
        dev_t device; /* of the node we made: what another daemon put there later is left alone */
        ino_t inode;
};

/* ---- accepting */

static void on_client_released(void *ctx) {
        struct local_client *client = ctx;

        list_remove(&client->node);
        client->server->n_clients--;
        free(client);
}

static void say_busy(struct local_server *server, int fd) {
        char newline = '\n';
        struct iovec parts[] = { { .iov_base = server->busy_line }, { .iov_base = &newline, .iov_len = 1 } };
        struct msghdr message = { .msg_iov = parts, .msg_iovlen = ARRAY_SIZE(parts) };

        if (server->busy_line) {
                parts[0].iov_len = strlen(server->busy_line);
                (void) sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        }
}

static int client_new(struct local_server *server, int fd, struct local_client **ret_client) {
        struct local_client *client = calloc(1, sizeof *client);
        int r;

        if (!client) {
                close(fd);
                return -ENOMEM;
        }
        client->server = server;
        r = local_connection_new(server->loop, fd, &server->limits, on_client_released, client, &client->connection);
        if (r < 0) {
                free(client);
                return r;
        }
        list_append(&server->clients, &client->node);
        server->n_clients++;
        *ret_client = client;
        return 0;
}

static void admit(struct local_server *server, int fd) {
        const struct local_connection_handler *handler = NULL;
        struct local_connection *connection;
        struct local_client *client;
        void *ctx = NULL;
        int r;

        if (server->n_clients >= server->clients_max) {
                say_busy(server, fd);
                close(fd);
                return;
        }
        if (client_new(server, fd, &client) < 0)
                return;
        connection = client->connection;
        r = server->handler->accepted(server->handler_ctx, connection, &handler, &ctx);
        if (r >= 0) {
                local_connection_start(connection, handler, ctx);
                return;
        }
        if (r == -EUSERS)
                say_busy(server, fd);
        local_connection_close(connection);
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void on_pause_over(void *ctx) {
        struct local_server *server = ctx;

        server->pause = NULL;
        uv_poll_start(&server->poll, UV_READABLE, on_poll);
}

static void on_poll(uv_poll_t *poll, int status, int events) {
        struct local_server *server = poll->data;
        (void) status;
        (void) events;

        for (int i = 0; i < LOCAL_ACCEPTS_PER_TURN; i++) {
                int fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

                if (fd >= 0) {
                        admit(server, fd);
                        continue;
                }
                /* The peer stays in the backlog and would be reported again and again. */
                if ((errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) &&
                    timer_start(server->loop, LOCAL_ACCEPT_PAUSE_MS, on_pause_over, server, &server->pause) == 0)
                        uv_poll_stop(&server->poll);
                return;
        }
}

/* ---- the socket */

static int find_group(const char *name, gid_t *ret_gid) {
        struct group *group;

        errno = 0;
        group = getgrnam(name);
        if (!group)
                return errno ? -errno : -ENOENT;
        *ret_gid = group->gr_gid;
        return 0;
}

/* A socket that is left of a daemon that died answers nobody and is in the way. */
static int remove_stale(const struct sockaddr_un *address) {
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct stat status;

        if (fd < 0)
                return -errno;
        if (lstat(address->sun_path, &status) < 0)
                return errno == ENOENT ? 0 : -errno;
        if (!S_ISSOCK(status.st_mode))
                return -ENOTSOCK;
        if (connect(fd, (const struct sockaddr *) address, sizeof *address) == 0 || errno != ECONNREFUSED)
                return -EADDRINUSE;
        return unlink(address->sun_path) < 0 ? -errno : 0;
}

/* Made with no right for anybody, so nobody comes in before group and mode are right. */
static int socket_bind(struct local_server *server, mode_t mode, gid_t gid) {
        mode_t mask = umask(0777);
        int r = bind(server->fd, (struct sockaddr *) &server->address, sizeof server->address) < 0 ? -errno : 0;
        struct stat status;

        umask(mask);
        if (r < 0)
                return r;
        if (lstat(server->address.sun_path, &status) < 0)
                return -errno;
        server->device = status.st_dev;
        server->inode = status.st_ino;
        if (gid != (gid_t) -1 && chown(server->address.sun_path, (uid_t) -1, gid) < 0)
                return -errno;
        if (chmod(server->address.sun_path, mode) < 0)
                return -errno;
        return listen(server->fd, LOCAL_BACKLOG) < 0 ? -errno : 0;
}

static int server_listen(struct local_server *server, const struct local_server_options *options, struct gw_error *err) {
        gid_t gid = (gid_t) -1;
        int r;

        if (options->group && find_group(options->group, &gid) < 0) {
                gw_error_set(err, "group-unknown", "there is no group '%s'", options->group);
                return -ENOENT;
        }
        r = remove_stale(&server->address);
        if (r == 0)
                r = socket_bind(server, options->mode, gid);
        if (r == 0)
                r = uv_poll_init(&server->loop->uv, &server->poll, server->fd);
        if (r < 0) {
                gw_error_set(err, "socket-unusable", "%s: %s", server->address.sun_path, strerror(-r));
                return r;
        }
        server->poll.data = server;
        uv_poll_start(&server->poll, UV_READABLE, on_poll);
        return 0;
}

/* At once, so that a successor may bind the same path in the same turn. */
static void socket_remove(struct local_server *server) {
        struct stat status;

        if (server->inode && lstat(server->address.sun_path, &status) == 0 && status.st_dev == server->device &&
            status.st_ino == server->inode)
                unlink(server->address.sun_path);
        if (server->fd >= 0)
                close(server->fd);
}

static void server_free_memory(struct local_server *server) {
        free(server->busy_line);
        free(server);
}

static int server_new_memory(struct loop *loop, const struct local_server_options *options, struct local_server **ret_server) {
        struct local_server *server;

        if (strlen(options->path) >= sizeof server->address.sun_path)
                return -ENAMETOOLONG;
        server = calloc(1, sizeof *server);
        if (!server)
                return -ENOMEM;
        server->loop = loop;
        server->limits = options->limits;
        server->clients_max = options->clients_max;
        server->address.sun_family = AF_UNIX;
        strcpy(server->address.sun_path, options->path);
        list_init(&server->clients);
        server->busy_line = options->busy_line ? strdup(options->busy_line) : NULL;
        server->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        *ret_server = server;
        return 0;
}

int local_server_new(struct loop *loop, const struct local_server_options *options, const struct local_server_handler *handler, void *ctx,
                     struct local_server **ret_server, struct gw_error *err) {
        struct local_server *server;
        int r = server_new_memory(loop, options, &server);

        if (r < 0) {
                gw_error_set(err, "socket-unusable", "%s: %s", options->path, strerror(-r));
                return r;
        }
        server->handler = handler;
        server->handler_ctx = ctx;
        r = server_listen(server, options, err);
        if (r < 0) {
                socket_remove(server);
                server_free_memory(server);
                return r;
        }
        *ret_server = server;
        return 0;
}

static void on_poll_closed(uv_handle_t *handle) {
        struct local_server *server = handle->data;

        server_free_memory(server);
}

void local_server_free(struct local_server *server) {
        struct list *node;

        if (!server)
                return;
        while ((node = list_pop(&server->clients))) {
                struct local_client *client = container_of(node, struct local_client, node);

                local_connection_forget_released(client->connection);
                free(client);
        }
        timer_cancel(server->pause);
        uv_close((uv_handle_t *) &server->poll, on_poll_closed);
        socket_remove(server);
}
