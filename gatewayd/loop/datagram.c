/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/datagram.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop/loop_internal.h"

#define DATAGRAM_BATCH_MAX 32 /* taken in one turn, then others have theirs */

struct datagram {
        uv_poll_t poll;
        struct loop *loop;
        const struct datagram_handler *handler;
        void *ctx;
        int fd;
        bool want_writable, ended, released;
};

static void on_poll(uv_poll_t *poll, int status, int events);

static void poll_start(struct datagram *datagram) {
        uv_poll_start(&datagram->poll, UV_READABLE | (datagram->want_writable ? UV_WRITABLE : 0), on_poll);
}

static void end(struct datagram *datagram) {
        if (datagram->ended || datagram->released)
                return;
        datagram->ended = true;
        uv_poll_stop(&datagram->poll);
        datagram->handler->ended(datagram->ctx);
}

static void receive(struct datagram *datagram) {
        for (int i = 0; i < DATAGRAM_BATCH_MAX && !datagram->released; i++) {
                ssize_t n_received = recv(datagram->fd, datagram->loop->scratch, LOOP_SCRATCH_SIZE, MSG_DONTWAIT);

                if (n_received < 0 && (errno == EAGAIN || errno == EINTR))
                        return;
                if (n_received <= 0) {
                        end(datagram);
                        return;
                }
                if (datagram->handler->received)
                        datagram->handler->received(datagram->ctx, datagram->loop->scratch, (size_t) n_received);
        }
}

static void on_poll(uv_poll_t *poll, int status, int events) {
        struct datagram *datagram = poll->data;

        if (status < 0 || (events & UV_READABLE))
                receive(datagram);
        if (status < 0)
                end(datagram);
        if (datagram->released || datagram->ended || !(events & UV_WRITABLE))
                return;
        datagram->want_writable = false;
        poll_start(datagram);
        datagram->handler->writable(datagram->ctx);
}

int datagram_open(struct loop *loop, int fd, const struct datagram_handler *handler, void *ctx, struct datagram **ret_datagram) {
        struct datagram *datagram = calloc(1, sizeof *datagram);
        int r = -ENOMEM;

        if (datagram)
                r = loop_scratch_acquire(loop);
        if (r >= 0) {
                r = uv_poll_init(&loop->uv, &datagram->poll, fd);
                if (r < 0)
                        loop_scratch_release(loop);
        }
        if (r < 0) {
                close(fd);
                free(datagram);
                return r;
        }
        datagram->poll.data = datagram;
        datagram->loop = loop;
        datagram->handler = handler;
        datagram->ctx = ctx;
        datagram->fd = fd;
        poll_start(datagram);
        *ret_datagram = datagram;
        return 0;
}

int datagram_send(struct datagram *datagram, const void *data, size_t size) {
        if (datagram->ended)
                return -EPIPE;
        if (send(datagram->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
                return 0;
        if (errno != EAGAIN && errno != ENOBUFS)
                return errno == ECONNRESET || errno == ENOTCONN ? -EPIPE : -errno;
        datagram->want_writable = true;
        poll_start(datagram);
        return -EAGAIN;
}

size_t datagram_queued_bytes(const struct datagram *datagram) {
        int n_bytes = 0;

        return ioctl(datagram->fd, SIOCOUTQ, &n_bytes) < 0 || n_bytes < 0 ? 0 : (size_t) n_bytes;
}

static void on_closed(uv_handle_t *handle) {
        struct datagram *datagram = handle->data;

        close(datagram->fd);
        loop_scratch_release(datagram->loop);
        free(datagram);
}

void datagram_close(struct datagram *datagram) {
        if (!datagram)
                return;
        datagram->released = true;
        uv_close((uv_handle_t *) &datagram->poll, on_closed);
}
