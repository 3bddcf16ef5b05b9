/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/serial.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "loop/loop_internal.h"
#include "loop/tty_raw.h"

enum serial_state {
        SERIAL_STATE_OPENING,
        SERIAL_STATE_OPEN,
        SERIAL_STATE_CLOSED,
};

struct serial_link {
        struct gw_link link;
        struct loop *loop;
        enum serial_state state;
        bool released; /* the owner closed it: no callback any more */
        bool polling;  /* poll is open */
        bool closing;  /* uv still holds poll */
        bool exclusive;
        int fd;
        uv_poll_t poll;
        struct loop_deferral next; /* opens, or tells that the line is lost */
        struct buffer queue;
        size_t refused_size; /* of the send() that waits for `writable`, 0 = none */
        int lost;            /* negative errno once the line is gone */
        struct gw_serial_options options;
        char path[];
};

static struct serial_link *serial_link_of(struct gw_link *link) {
        return container_of(link, struct serial_link, link);
}

/* ---- the end */

static void free_when_released(struct serial_link *serial) {
        if (!serial->released || serial->closing)
                return;
        buffer_deinit(&serial->queue);
        loop_scratch_release(serial->loop);
        free(serial);
}

static void on_poll_closed(uv_handle_t *handle) {
        struct serial_link *serial = handle->data;

        serial->closing = false;
        free_when_released(serial);
}

/* close() would wait for a line that does not move; what has not left is dropped before. libuv lets go of the descriptor first: by
 * its number it would otherwise touch the next file that gets it. */
static void close_port(struct serial_link *serial) {
        if (serial->polling) {
                serial->polling = false;
                serial->closing = true;
                uv_close((uv_handle_t *) &serial->poll, on_poll_closed);
        }
        if (serial->fd < 0)
                return;
        tcflush(serial->fd, TCIOFLUSH);
        if (serial->exclusive)
                ioctl(serial->fd, TIOCNXCL);
        close(TAKE_FD(serial->fd));
}

static void serial_link_close(struct gw_link *link) {
        struct serial_link *serial = serial_link_of(link);

        serial->released = true;
        loop_deferral_cancel(&serial->next);
        close_port(serial);
        free_when_released(serial);
}

static void tell_closed(struct serial_link *serial, const char *name, const char *what) {
        struct gw_error error = { 0 };

        gw_error_set(&error, name, "%s: %s", serial->path, what);
        serial->state = SERIAL_STATE_CLOSED;
        serial->link.handler->closed(serial->link.handler_ctx, &error);
}

/* `closed` follows from on_next(). */
static void line_lost(struct serial_link *serial, int r) {
        if (serial->lost < 0)
                return;
        serial->lost = r;
        uv_poll_stop(&serial->poll);
        loop_deferral_schedule(&serial->next);
}

/* ---- writing */

/* Bytes the driver took, 0 when it is full, or negative errno. */
static ssize_t write_some(struct serial_link *serial, const uint8_t *data, size_t size) {
        ssize_t n = write(serial->fd, data, size);

        if (n >= 0)
                return n;
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void poll_start(struct serial_link *serial) {
        uv_poll_start(&serial->poll, UV_READABLE | (buffer_size(&serial->queue) > 0 ? UV_WRITABLE : 0), on_poll);
}

static void flush(struct serial_link *serial) {
        ssize_t n = write_some(serial, buffer_data(&serial->queue), buffer_size(&serial->queue));

        if (n < 0) {
                line_lost(serial, (int) n);
                return;
        }
        buffer_consume(&serial->queue, (size_t) n);
        if (buffer_size(&serial->queue) == 0)
                poll_start(serial);
        if (serial->refused_size == 0 || buffer_room(&serial->queue) < serial->refused_size)
                return;
        serial->refused_size = 0;
        serial->link.handler->writable(serial->link.handler_ctx);
}

static int serial_link_send(struct gw_link *link, const void *data, size_t size) {
        struct serial_link *serial = serial_link_of(link);
        bool was_empty = buffer_size(&serial->queue) == 0;
        ssize_t n;
        int r;

        if (serial->state != SERIAL_STATE_OPEN || serial->lost < 0)
                return -ENOTCONN;
        if (size > serial->queue.limit)
                return -EMSGSIZE;
        if (size > buffer_room(&serial->queue)) {
                serial->refused_size = size;
                return -EAGAIN;
        }
        r = buffer_append(&serial->queue, data, size);
        if (r < 0 || !was_empty)
                return r;
        n = write_some(serial, buffer_data(&serial->queue), size);
        if (n < 0) {
                line_lost(serial, (int) n);
                return -ENOTCONN;
        }
        buffer_consume(&serial->queue, (size_t) n);
        if (buffer_size(&serial->queue) > 0)
                poll_start(serial);
        return 0;
}

static size_t serial_link_max_datagram(struct gw_link *link) {
        (void) link;
        return SIZE_MAX;
}

static size_t serial_link_queued_bytes(struct gw_link *link) {
        struct serial_link *serial = serial_link_of(link);
        int n_driver = 0;

        if (serial->fd < 0 || ioctl(serial->fd, TIOCOUTQ, &n_driver) < 0 || n_driver < 0)
                n_driver = 0;
        return buffer_size(&serial->queue) + (size_t) n_driver;
}

static const struct gw_link_ops serial_link_ops = {
        .send = serial_link_send,
        .max_datagram = serial_link_max_datagram,
        .queued_bytes = serial_link_queued_bytes,
        .close = serial_link_close,
};

/* ---- reading */

static void receive(struct serial_link *serial) {
        ssize_t n = read(serial->fd, serial->loop->scratch, LOOP_SCRATCH_SIZE);

        if (n > 0)
                serial->link.handler->received(serial->link.handler_ctx, serial->loop->scratch, (size_t) n);
        else if (n == 0)
                line_lost(serial, -EIO);
        else if (errno != EAGAIN && errno != EINTR)
                line_lost(serial, -errno);
}

static void on_poll(uv_poll_t *poll, int status, int events) {
        struct serial_link *serial = poll->data;

        if (status < 0 || (events & UV_READABLE))
                receive(serial);
        if (!serial->released && serial->lost == 0 && (events & UV_WRITABLE))
                flush(serial);
        /* libuv has stopped a descriptor with an error: a hang-up, behind what could still be read. */
        if (!serial->released && status < 0)
                line_lost(serial, -EIO);
}

/* ---- opening */

static const char *open_error_name(int r) {
        switch (r) {
        case -ENOENT:
        case -ENXIO:
        case -ENODEV:
        case -ENOTDIR:
                return "port-absent";
        case -EBUSY:
        case -EWOULDBLOCK:
                return "port-busy";
        case -EACCES:
        case -EPERM:
                return "port-permission";
        case -ENOTTY:
                return "port-not-a-tty";
        case -ENOTSUP:
                return "port-setting-refused";
        default:
                return "link-open-failed";
        }
}

static int make_exclusive(struct serial_link *serial) {
        int is_exclusive = 0;

        if (flock(serial->fd, LOCK_EX | LOCK_NB) < 0)
                return -errno;
        if (tty_is_pseudo(serial->fd))
                return 0;
        /* The kernel lets root in all the same. */
        if (ioctl(serial->fd, TIOCGEXCL, &is_exclusive) == 0 && is_exclusive)
                return -EBUSY;
        if (ioctl(serial->fd, TIOCEXCL) < 0)
                return -errno;
        serial->exclusive = true;
        return 0;
}

static int open_port(struct serial_link *serial) {
        struct stat status;
        int r;

        /* Opening a pipe or a watchdog would have effects. */
        if (stat(serial->path, &status) < 0)
                return -errno;
        if (!S_ISCHR(status.st_mode))
                return -ENOTTY;
        serial->fd = open(serial->path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
        if (serial->fd < 0)
                return -errno;
        if (!isatty(serial->fd))
                return -ENOTTY;
        r = make_exclusive(serial);
        if (r < 0)
                return r;
        r = tty_raw_set(serial->fd, serial->options.baud, serial->options.hardware_flow);
        if (r < 0)
                return r;
        tcflush(serial->fd, TCIFLUSH); /* what came before us answers nothing */
        r = uv_poll_init(&serial->loop->uv, &serial->poll, serial->fd);
        if (r < 0)
                return r;
        serial->poll.data = serial;
        serial->polling = true;
        return 0;
}

static void on_next(void *ctx) {
        struct serial_link *serial = ctx;
        int r;

        if (serial->lost < 0) {
                /* Free for others at once: the device may come back under this name before the owner closes the link. */
                close_port(serial);
                tell_closed(serial, "link-lost", strerror(-serial->lost));
                return;
        }
        r = open_port(serial);
        if (r < 0) {
                close_port(serial);
                tell_closed(serial, open_error_name(r), strerror(-r));
                return;
        }
        serial->state = SERIAL_STATE_OPEN;
        poll_start(serial);
        serial->link.handler->opened(serial->link.handler_ctx);
}

int serial_link_open(struct loop *loop, const struct gw_serial_options *options, const struct gw_link_handler *handler, void *ctx,
                     struct gw_link **ret_link) {
        size_t path_size = options->path ? strlen(options->path) + 1 : 0;
        struct serial_link *serial;

        if (path_size <= 1 || options->baud < SERIAL_BAUD_MIN || options->baud > SERIAL_BAUD_MAX)
                return -EINVAL;
        serial = calloc(1, sizeof *serial + path_size);
        if (!serial)
                return -ENOMEM;
        if (loop_scratch_acquire(loop) < 0) {
                free(serial);
                return -ENOMEM;
        }
        serial->link = (struct gw_link){ .ops = &serial_link_ops, .handler = handler, .handler_ctx = ctx };
        serial->loop = loop;
        serial->options = *options;
        serial->options.path = serial->path;
        memcpy(serial->path, options->path, path_size);
        serial->fd = -1;
        buffer_init(&serial->queue, options->queue_max ? options->queue_max : SERIAL_QUEUE_DEFAULT);
        loop_deferral_init(&serial->next, loop, on_next, serial);
        loop_deferral_schedule(&serial->next);
        *ret_link = &serial->link;
        return 0;
}
