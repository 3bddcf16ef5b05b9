/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What listening costs: another process plays a Bluetooth service in a busy place, a hundred devices that together advertise 500
 * times a second, and this one's own CPU time is set against the time that passes. The share is printed.
 */

#include "ble/ble.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/str.h"
#include "base/time.h"
#include "ble/test_support.h"
#include "loop/timer.h"

#define LOAD_DEVICES 100
#define LOAD_INTERVAL_MS 2
#define LOAD_ADVERTISEMENTS 1500
#define LOAD_SHARE_MAX 2.0 /* per cent of one core */

/* Checked code costs several times as much and proves nothing about it. */
#ifdef __has_feature
#define IS_CHECKED __has_feature(address_sanitizer)
#elif defined(__SANITIZE_ADDRESS__)
#define IS_CHECKED 1
#else
#define IS_CHECKED 0
#endif

struct service {
        struct loop *loop;
        struct fake_bluez fake;
        size_t n_sent;
        int64_t begin_ms;
};

static void advertise(struct service *service) {
        struct fake_device *device = &service->fake.devices[service->n_sent % LOAD_DEVICES];

        device->rssi = -40 - (int) (service->n_sent % 50);
        fake_advertise(device);
        service->n_sent++;
}

/* What is late on a busy machine follows. */
static void advertise_due(void *ctx) {
        struct service *service = ctx;
        struct timer *timer;

        while (service->begin_ms + (int64_t) service->n_sent * LOAD_INTERVAL_MS <= time_now_monotonic_ms())
                advertise(service);
        timer_start(service->loop, LOAD_INTERVAL_MS, advertise_due, service, &timer);
}

/* Runs until it is killed. */
static void serve(const char *bus_address, int ready) {
        static struct service service;
        char address[18];

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (loop_new(&service.loop) < 0)
                _exit(1);
        fake_init(&service.fake, service.loop, bus_address);
        for (int i = 0; i < LOAD_DEVICES; i++) {
                str_format(address, sizeof address, "C0:00:00:00:00:%02X", i);
                fake_add(&service.fake, address);
        }
        if (write(ready, "x", 1) != 1)
                _exit(1);
        while (!service.fake.adapters[0].discovering)
                loop_run_once(service.loop);
        service.begin_ms = time_now_monotonic_ms();
        advertise_due(&service);
        loop_run(service.loop);
        _exit(1);
}

static int64_t cpu_us(void) {
        struct rusage usage;

        assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
        return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * INT64_C(1000000) + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

static void count_seen(void *ctx, const struct gw_gatt_peer *peer) {
        (void) peer;
        ++*(size_t *) ctx;
}

static void newest(void *ctx, const struct gw_gatt_peer *peer) {
        int64_t *at_ms = ctx;

        *at_ms = peer->heard_ms > *at_ms ? peer->heard_ms : *at_ms;
}

static int64_t heard_last(struct ble *ble) {
        int64_t at_ms = 0;

        ble_peers(ble, newest, &at_ms);
        return at_ms;
}

static void time_is_over(void *ctx) {
        *(bool *) ctx = true;
}

static void test_share_of_a_core(void **state) {
        const struct gw_gatt_watch_options watched = { .size = sizeof watched };
        struct private_bus bus;
        struct ble_options options = { .sessions = 3, .attempts = 5, .sysfs_root = "/nonexistent" };
        struct gw_gatt_watch *watch;
        struct loop *loop;
        struct timer *timer;
        struct ble *ble;
        size_t n_seen = 0;
        bool over = false;
        int64_t cpu, begin_ms;
        double share;
        int ready[2];
        char byte;
        pid_t service;

        (void) state;
        private_bus_init(&bus);
        assert_int_equal(pipe(ready), 0);
        service = fork();
        if (service == 0)
                serve(bus.address, ready[1]);
        assert_int_equal(read(ready[0], &byte, 1), 1);
        assert_int_equal(loop_new(&loop), 0);
        options.loop = loop;
        options.bus_address = bus.address;
        assert_int_equal(ble_new(&options, &ble), 0);
        assert_int_equal(ble_watch(ble, &watched, count_seen, &n_seen, &watch), 0);
        LOOP_UNTIL(loop, n_seen == LOAD_DEVICES);
        cpu = cpu_us();
        begin_ms = time_now_monotonic_ms();
        assert_int_equal(timer_start(loop, LOAD_ADVERTISEMENTS * LOAD_INTERVAL_MS, time_is_over, &over, &timer), 0);
        LOOP_UNTIL(loop, over);
        cpu = cpu_us() - cpu;
        share = (double) cpu / 10.0 / (double) (time_now_monotonic_ms() - begin_ms);
        printf("500 advertisements a second of %d devices: %.2f %% of a core\n", LOAD_DEVICES, share);
        assert_true(heard_last(ble) > begin_ms); /* it did listen */
        if (!IS_CHECKED)
                assert_true(share < LOAD_SHARE_MAX);
        ble_watch_end(watch);
        ble_free(ble);
        loop_free(loop);
        kill(service, SIGKILL);
        waitpid(service, NULL, 0);
        close(ready[0]);
        close(ready[1]);
        private_bus_deinit(&bus);
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_share_of_a_core) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
