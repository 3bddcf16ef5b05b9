/* SPDX-License-Identifier: Apache-2.0 */
#include "scan.h"

#include <stdlib.h>

#include "facts.h"
#include "waiters.h"

#define ANSWER_TIMEOUT_MS 1000

/* What one place said. */
struct answers {
        struct smp_probe_result device;
        struct smp_image_state state;
        bool has_state;
};

/* One place to ask. */
struct target {
        struct target *next;
        struct scan *scan;
        char key[GW_KEY_MAX + 1];
        char where[TRANSPORT_PORT_MAX];
        char product[64]; /* of the USB port */
        struct tuning tuning;
        struct smp_client *client; /* NULL = not begun, or finished */
        struct transport_session session;
        struct smp_probe *probe;
        struct answers *answers; /* while there is a client */
};

struct scan {
        struct driver *driver;
        struct target *targets;
        struct target *next_target; /* the first that has not begun */
        size_t n_targets, n_running;
        struct waiter *waiters;
        struct gw_timer *deadline, *step;
        bool over;
};

static void go_on_later(struct scan *scan);

/* ---- the end */

static void target_stop(struct target *target) {
        smp_probe_free(target->probe);
        target->probe = NULL;
        smp_client_free(target->client);
        target->client = NULL;
        free(target->answers);
        target->answers = NULL;
}

void scan_free(struct scan *scan) {
        if (!scan)
                return;
        scan->driver->host->timer->cancel(scan->deadline);
        scan->driver->host->timer->cancel(scan->step);
        while (scan->targets) {
                struct target *target = scan->targets;

                scan->targets = target->next;
                target_stop(target);
                free(target);
        }
        waiters_free(scan->waiters);
        free(scan);
}

static void report(const struct target *target);

/* The scan is gone before anybody hears of it, so a new one may begin from inside. */
static void finish(struct scan *scan) {
        struct waiter *waiters = scan->waiters;

        for (const struct target *target = scan->targets; target; target = target->next)
                if (target->client && smp_client_was_heard(target->client))
                        report(target); /* it had no time to say everything */
        scan->waiters = NULL;
        scan->driver->scan = NULL;
        scan_free(scan);
        waiters_tell(waiters);
}

/* ---- one target */

static void target_ended(struct target *target) {
        target_stop(target);
        target->scan->n_running--;
        go_on_later(target->scan);
}

/* A product string that only repeats the model is no name. */
static const char *name_of(const struct target *target) {
        const char *product = target->product;

        if (!product[0] || strcmp(product, target->answers->device.memfault_hardware) == 0 ||
            strcmp(product, target->answers->device.board) == 0)
                return NULL;
        return product;
}

static void report(const struct target *target) {
        const struct driver *driver = target->scan->driver;
        struct gw_facts facts = GW_FACTS_INIT;
        struct facts_room room;

        facts.name = name_of(target);
        facts.address = target->session.where;
        facts_add_device(&facts, &target->answers->device, &room);
        if (target->answers->has_state)
                facts_add_images(&facts, &target->answers->state, &target->answers->device.slot_info, &room);
        driver->host->device->seen(driver->host, driver->transport->driver, target->key, &facts);
}

/* A refusal is an answer, too: whoever speaks SMP is a device. */
static void target_asked(struct target *target) {
        if (smp_client_was_heard(target->client))
                report(target);
        target_ended(target);
}

static void state_read(void *ctx, const struct smp_answer *answer, const struct smp_image_state *state) {
        struct target *target = ctx;

        target->answers->has_state = answer->result == 0 && state;
        if (target->answers->has_state)
                target->answers->state = *state;
        target_asked(target);
}

static void asked(void *ctx, int result, const struct gw_error *err) {
        struct target *target = ctx;

        (void) err;
        smp_probe_free(target->probe);
        target->probe = NULL;
        if (result < 0 || smp_image_read(target->client, state_read, target, NULL) < 0)
                target_asked(target);
}

static void opened(void *ctx) {
        struct target *target = ctx;

        if (smp_probe_start(target->client, SMP_PROBE_UPDATE, &target->answers->device, asked, target, &target->probe) < 0)
                target_ended(target);
}

static void closed(void *ctx, const struct gw_error *why) {
        struct target *target = ctx;

        (void) why; /* busy, absent, not permitted: then it is not found */
        if (target->client)
                target_ended(target);
}

static const struct smp_client_handler client_handler = { .opened = opened, .closed = closed };

static int target_open(struct target *target) {
        const struct driver *driver = target->scan->driver;

        target->session.client = target->client;
        target->session.tuning = &target->tuning;
        if (driver->transport->kind == TRANSPORT_SERIAL)
                return transport_serial_open_port(driver->host, target->where, &target->session, NULL);
        return transport_udp_open_address(driver->host, target->where, &target->session, NULL);
}

static void target_start(struct target *target) {
        struct smp_client_options options = SMP_CLIENT_OPTIONS_INIT;

        options.timeout_ms = ANSWER_TIMEOUT_MS;
        options.resends = 1;
        target->scan->n_running++;
        target->answers = calloc(1, sizeof *target->answers);
        if (target->answers)
                target->answers->device = (struct smp_probe_result) SMP_PROBE_RESULT_INIT;
        if (!target->answers || smp_client_new(target->scan->driver->host, &options, &client_handler, target, &target->client) < 0 ||
            target_open(target) < 0)
                target_ended(target);
}

/* ---- all targets */

static void go_on(void *ctx) {
        struct scan *scan = ctx;

        scan->step = NULL;
        while (!scan->over && scan->next_target && scan->n_running < SCAN_AT_ONCE) {
                struct target *target = scan->next_target;

                scan->next_target = target->next;
                if (!driver_has_run(scan->driver, target->key)) /* begun meanwhile */
                        target_start(target);
        }
        if (scan->over || (scan->n_running == 0 && !scan->next_target))
                finish(scan);
}

/* From inside a client's callback nothing may be finished. */
static void go_on_later(struct scan *scan) {
        const struct gw_host *host = scan->driver->host;

        if (!scan->step && host->timer->start(host, 0, go_on, scan, &scan->step) < 0)
                scan->step = NULL; /* the deadline ends it */
}

static void deadline_passed(void *ctx) {
        struct scan *scan = ctx;

        scan->deadline = NULL;
        scan->over = true;
        go_on_later(scan);
}

static struct target *target_add(struct scan *scan, const char *key, const char *where) {
        struct target *target;

        if (scan->n_targets >= SCAN_TARGETS_MAX || driver_has_run(scan->driver, key))
                return NULL;
        for (target = scan->targets; target; target = target->next)
                if (strcmp(target->where, where) == 0)
                        return NULL;
        target = calloc(1, sizeof *target);
        if (!target)
                return NULL;
        target->scan = scan;
        snprintf(target->key, sizeof target->key, "%s", key);
        snprintf(target->where, sizeof target->where, "%s", where);
        tuning_read(scan->driver->host, NULL, scan->driver->transport->kind, &target->tuning);
        target->next = scan->targets;
        scan->targets = target;
        scan->n_targets++;
        return target;
}

static void add_device(void *ctx, const struct gw_device *device) {
        struct scan *scan = ctx;
        const struct driver *driver = scan->driver;
        const char *address = driver->host->device->address(device);
        char path[TRANSPORT_PORT_MAX];
        struct target *target = NULL;

        if (driver->transport->kind == TRANSPORT_UDP && address)
                target = target_add(scan, driver->host->device->key(device), address);
        else if (driver->transport->kind == TRANSPORT_SERIAL && transport_serial_find(driver->host, device, path, NULL) == 0)
                target = target_add(scan, driver->host->device->key(device), path);
        if (target)
                tuning_read(driver->host, device, driver->transport->kind, &target->tuning);
}

/* Ports without a key can only be used by a device whose section names the path. */
static void add_port(void *ctx, const struct gw_serial_port *port) {
        struct target *target = port->key && port->key[0] ? target_add(ctx, port->key, port->path) : NULL;

        if (target && port->product)
                snprintf(target->product, sizeof target->product, "%s", port->product);
}

static int scan_new(struct driver *driver, int64_t duration_ms, struct scan **ret_scan) {
        const struct gw_host *host = driver->host;
        struct scan *scan = calloc(1, sizeof *scan);
        int r;

        if (!scan)
                return -ENOMEM;
        scan->driver = driver;
        r = host->timer->start(host, duration_ms, deadline_passed, scan, &scan->deadline);
        if (r < 0) {
                free(scan);
                return r;
        }
        host->device->each(host, driver->transport->driver, add_device, scan);
        if (driver->transport->kind == TRANSPORT_SERIAL)
                host->link->serial_list(host, add_port, scan);
        scan->next_target = scan->targets;
        go_on_later(scan);
        *ret_scan = scan;
        return 0;
}

int scan_start(struct driver *driver, int64_t duration_ms, void (*done)(void *ctx), void *ctx, struct gw_error *err) {
        int r = driver->scan ? 0 : scan_new(driver, duration_ms, &driver->scan);

        if (r == 0)
                r = waiters_add(&driver->scan->waiters, done, ctx);
        if (r < 0)
                gw_error_set(err, "out-of-memory", "no memory for a scan");
        return r;
}

void scan_leave(struct scan *scan, const char *key) {
        if (!scan)
                return;
        for (struct target *target = scan->targets; target; target = target->next)
                if (target->client && strcmp(target->key, key) == 0)
                        target_ended(target);
}
