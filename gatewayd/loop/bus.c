/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/bus.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "loop/loop_internal.h"
#include "loop/timer.h"

#define BUS_RETRY_MIN_MS 500
#define BUS_RETRY_MAX_MS 30000
#define BUS_BATCH_MAX 128 /* messages handled in one turn */
/* Where so many messages come, waking up for each would cost more than the messages: they are collected for a moment. */
#define BUS_CROWD_MESSAGES 20 /* within */
#define BUS_CROWD_MS 100
#define BUS_REST_MS 20

struct bus {
        struct loop *loop;
        char *address;
        const struct bus_handler *handler;
        void *ctx;
        sd_bus *connection;
        bool ready;                  /* the bus has given us a name */
        struct bus_watch *watch;     /* of the connection's descriptor */
        struct loop_hook *hook;
        struct loop_deferral process;
        struct timer *timer;         /* sd-bus's own time limit, or the next attempt to connect */
        uint64_t timer_usec;         /* for which time limit it runs */
        int64_t retry_ms;
        char told[sizeof(((struct gw_error *) 0)->text)]; /* the last reason that was told */
        struct timer *rest;          /* while it runs nothing is read */
        int64_t counting_since_ms;
        size_t n_counted;
        bool crowded;
        bool released, in_callback;
};

/* What libuv holds; it outlives the connection by one turn. */
struct bus_watch {
        uv_poll_t poll;
        struct bus *bus; /* NULL: being closed */
        int fd;
        int events;
};

static void bus_open(void *ctx);

/* ---- the descriptor */

static void on_watch_closed(uv_handle_t *handle) {
        struct bus_watch *watch = handle->data;

        close(watch->fd);
        free(watch);
}

static void watch_close(struct bus *bus) {
        struct bus_watch *watch = TAKE_PTR(bus->watch);

        if (!watch)
                return;
        watch->bus = NULL;
        uv_close((uv_handle_t *) &watch->poll, on_watch_closed);
}

static void on_poll(uv_poll_t *poll, int status, int events) {
        struct bus_watch *watch = poll->data;

        (void) status;
        (void) events;
        if (watch->bus)
                loop_deferral_schedule(&watch->bus->process);
}

/* A copy of the descriptor: sd-bus closes its own whenever it likes, libuv must have let go of one before. */
static int watch_open(struct bus *bus) {
        int fd = sd_bus_get_fd(bus->connection), r;
        struct bus_watch *watch;

        if (fd < 0)
                return fd;
        watch = calloc(1, sizeof *watch);
        if (!watch)
                return -ENOMEM;
        watch->bus = bus;
        watch->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        r = watch->fd < 0 ? -errno : uv_poll_init(&bus->loop->uv, &watch->poll, watch->fd);
        if (r < 0) {
                if (watch->fd >= 0)
                        close(watch->fd);
                free(watch);
                return r;
        }
        watch->poll.data = watch;
        bus->watch = watch;
        return 0;
}

/* ---- losing it */

static void bus_lost(struct bus *bus, int error) {
        struct gw_error why = { 0 };
        bool was_ready = bus->ready;

        watch_close(bus);
        timer_cancel(TAKE_PTR(bus->timer));
        timer_cancel(TAKE_PTR(bus->rest));
        loop_deferral_cancel(&bus->process);
        sd_bus_close(bus->connection);
        bus->connection = sd_bus_unref(bus->connection);
        bus->ready = false;
        (void) timer_start(bus->loop, bus->retry_ms, bus_open, bus, &bus->timer);
        bus->retry_ms = MIN(2 * bus->retry_ms, (int64_t) BUS_RETRY_MAX_MS);
        gw_error_set(&why, "dbus-refused", "%s: %s", bus->address ? bus->address : "the system's D-Bus", strerror(-error));
        if (!was_ready && str_equal(why.text, bus->told))
                return;
        (void) str_copy(bus->told, sizeof bus->told, why.text);
        bus->handler->disconnected(bus->ctx, &why);
}

/* ---- working */

static void note_ready(struct bus *bus) {
        if (bus->ready || sd_bus_is_ready(bus->connection) <= 0)
                return;
        bus->ready = true;
        bus->retry_ms = BUS_RETRY_MIN_MS;
        bus->told[0] = '\0';
        bus->handler->connected(bus->ctx, bus->connection);
}

static void rest_is_over(void *ctx) {
        struct bus *bus = ctx;

        bus->rest = NULL;
        loop_deferral_schedule(&bus->process);
}

static void rest_if_crowded(struct bus *bus, size_t n_messages) {
        int64_t now_ms = loop_now_ms(bus->loop);

        bus->n_counted += n_messages;
        if (now_ms - bus->counting_since_ms >= BUS_CROWD_MS) {
                bus->crowded = bus->n_counted >= BUS_CROWD_MESSAGES && now_ms - bus->counting_since_ms < 2 * BUS_CROWD_MS;
                bus->counting_since_ms = now_ms;
                bus->n_counted = 0;
        }
        if (bus->crowded && !bus->rest)
                (void) timer_start(bus->loop, BUS_REST_MS, rest_is_over, bus, &bus->rest);
}

static void bus_free_now(struct bus *bus);

static void bus_process(void *ctx) {
        struct bus *bus = ctx;
        size_t n_messages = 0;
        int r = 0;

        bus->in_callback = true;
        for (int i = 0; i < BUS_BATCH_MAX && !bus->released; i++) {
                r = sd_bus_process(bus->connection, NULL);
                if (r <= 0 || bus->released)
                        break;
                n_messages++;
                note_ready(bus);
        }
        if (r == 0 && !bus->released)
                note_ready(bus);
        bus->in_callback = false;
        if (bus->released)
                bus_free_now(bus);
        else if (r < 0)
                bus_lost(bus, r);
        else if (r > 0)
                loop_deferral_schedule(&bus->process);
        else
                rest_if_crowded(bus, n_messages);
}

static void on_time_limit(void *ctx) {
        struct bus *bus = ctx;

        bus->timer = NULL;
        loop_deferral_schedule(&bus->process);
}

static void time_limit_set(struct bus *bus, uint64_t usec) {
        int64_t delay_ms;

        if (bus->timer && usec == bus->timer_usec)
                return;
        timer_cancel(TAKE_PTR(bus->timer));
        bus->timer_usec = usec;
        if (usec == UINT64_MAX)
                return;
        delay_ms = (int64_t) ((usec + 999) / 1000) - loop_now_ms(bus->loop);
        (void) timer_start(bus->loop, MAX(delay_ms, (int64_t) 0), on_time_limit, bus, &bus->timer);
}

/* The end of every turn: what does sd-bus wait for now? */
static void before_sleep(void *ctx) {
        struct bus *bus = ctx;
        uint64_t usec = UINT64_MAX;
        int events;

        if (!bus->connection)
                return;
        events = sd_bus_get_events(bus->connection);
        if (events < 0 || sd_bus_get_timeout(bus->connection, &usec) < 0 || usec == 0) {
                loop_deferral_schedule(&bus->process); /* something waits inside, or it is broken, which process says */
                return;
        }
        if (bus->rest)
                events &= ~POLLIN;
        if (bus->watch->events != events) {
                bus->watch->events = events;
                uv_poll_start(&bus->watch->poll, (events & POLLIN ? UV_READABLE : 0) | (events & POLLOUT ? UV_WRITABLE : 0), on_poll);
        }
        time_limit_set(bus, usec);
}

/* ---- opening */

static int connection_start(struct bus *bus) {
        const char *address = bus->address ? bus->address : getenv("DBUS_SYSTEM_BUS_ADDRESS");
        int r = sd_bus_new(&bus->connection);

        if (r >= 0)
                r = sd_bus_set_address(bus->connection, address ? address : "unix:path=/run/dbus/system_bus_socket");
        if (r >= 0)
                r = sd_bus_set_bus_client(bus->connection, true);
        if (r >= 0)
                r = sd_bus_negotiate_fds(bus->connection, true);
        if (r >= 0)
                r = sd_bus_start(bus->connection);
        return r < 0 ? r : watch_open(bus);
}

static void bus_open(void *ctx) {
        struct bus *bus = ctx;
        int r;

        bus->timer = NULL;
        r = connection_start(bus);
        if (r < 0)
                bus_lost(bus, r);
        else
                loop_deferral_schedule(&bus->process);
}

int bus_new(struct loop *loop, const char *address, const struct bus_handler *handler, void *ctx, struct bus **ret_bus) {
        struct bus *bus = calloc(1, sizeof *bus);

        if (!bus)
                return -ENOMEM;
        *bus = (struct bus){ .loop = loop, .handler = handler, .ctx = ctx, .retry_ms = BUS_RETRY_MIN_MS };
        loop_deferral_init(&bus->process, loop, bus_process, bus);
        if (address)
                bus->address = strdup(address);
        if ((address && !bus->address) || loop_turn_hook(loop, before_sleep, bus, &bus->hook) < 0 ||
            timer_start(loop, 0, bus_open, bus, &bus->timer) < 0) {
                bus_free(bus);
                return -ENOMEM;
        }
        *ret_bus = bus;
        return 0;
}

static void bus_free_now(struct bus *bus) {
        watch_close(bus);
        timer_cancel(bus->timer);
        timer_cancel(bus->rest);
        loop_deferral_cancel(&bus->process);
        loop_hook_remove(bus->hook);
        if (bus->connection) {
                sd_bus_close(bus->connection);
                sd_bus_unref(bus->connection);
        }
        free(bus->address);
        free(bus);
}

void bus_free(struct bus *bus) {
        if (!bus)
                return;
        bus->released = true;
        if (!bus->in_callback)
                bus_free_now(bus);
}

sd_bus *bus_connection(const struct bus *bus) {
        return bus->ready ? bus->connection : NULL;
}
