/* SPDX-License-Identifier: Apache-2.0 */
#include "run_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "tuning.h"

#define MOST_MS 3600000

static int file_open(const uint8_t *bytes, size_t size) {
        int fd = memfd_create("part", MFD_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, bytes, size), size);
        return fd;
}

void fixture_want(struct fixture *fixture, uint8_t image, uint8_t hash, const char *version, size_t size) {
        size_t index = fixture->order.n_wanted++;
        struct gw_wanted *wanted = &fixture->order.wanted[index];
        struct gw_part *part = &fixture->parts[index];
        uint8_t *bytes = size ? malloc(size) : NULL;

        *wanted = (struct gw_wanted){ .image = image, .hash_size = 32 };
        memset(wanted->hash, hash, 32);
        snprintf(wanted->version, sizeof wanted->version, "%s", version);
        if (!bytes)
                return;
        fake_file(bytes, size, hash, version);
        *part = (struct gw_part){ .image = image, .slot = -1, .hash_size = 32, .size = size, .fd = file_open(bytes, size) };
        memcpy(part->hash, wanted->hash, 32);
        memset(part->sha256, hash ^ 0x55, sizeof part->sha256);
        snprintf(part->version, sizeof part->version, "%s", version);
        wanted->part = part;
        free(bytes);
}

void fixture_run(struct fixture *fixture, enum gw_operation_kind operation) {
        fixture->run = (struct gw_run){
                .scripted = &fixture->host,
                .driver = fixture->driver,
                .driver_ctx = fixture->driver_ctx,
                .operation = operation,
                .device = fixture->entry,
                .order = &fixture->order,
        };
}

void fixture_init(struct fixture *fixture, const struct gw_driver *driver) {
        bool serial = driver == &driver_serial, ble = driver == &driver_ble;

        memset(fixture, 0, sizeof *fixture);
        fixture->parts[0].fd = fixture->parts[1].fd = -1;
        scripted_host_init(&fixture->host, tuning_plugin_settings);
        fake_device_init(&fixture->device, &fixture->host, OLD);
        fixture->entry = scripted_device_add(&fixture->host, driver->name, ble ? FIXTURE_KEY : serial ? "0001-if00" : "kitchen", driver->device_settings);
        if (ble) {
                scripted_gatt_init(&fixture->gatt, &fixture->host);
                fake_device_on_air(&fixture->device, &fixture->gatt, FIXTURE_KEY, "sensor");
        } else if (serial) {
                scripted_port_add(&fixture->host, "/dev/scripted0", "0001-if00");
        } else {
                snprintf(fixture->entry->address, sizeof fixture->entry->address, "192.0.2.7");
        }
        fixture->driver = driver;
        assert_int_equal(driver->start(&fixture->host.host, &fixture->driver_ctx, NULL), 0);
        fixture->order = (struct gw_order){ .size = sizeof fixture->order, .trial_ms = 60000, .trial_checks = 2 };
        fixture_want(fixture, 0, NEW, "1.1.0", FIXTURE_FILE_SIZE);
        fixture_run(fixture, GW_OPERATION_UPDATE);
}

void fixture_deinit(struct fixture *fixture) {
        scripted_run_deinit(&fixture->run);
        fixture->driver->stop(fixture->driver_ctx);
        if (fixture->driver == &driver_ble)
                scripted_gatt_deinit(&fixture->gatt);
        scripted_host_advance(&fixture->host, MOST_MS); /* what the device still wanted to say */
        scripted_host_deinit(&fixture->host);
        fake_device_deinit(&fixture->device);
        for (size_t i = 0; i < 2; i++)
                if (fixture->parts[i].fd >= 0)
                        close(fixture->parts[i].fd);
}

const char *fixture_story(const struct fixture *fixture) {
        static char text[8192];
        const struct gw_run *run = &fixture->run;
        size_t used = (size_t) snprintf(text, sizeof text, "end %d result %d proof %d error \"%s\" (%s) wait \"%s\" path \"%s\"", run->end,
                                        run->result, run->proof, run->error.name, run->error.text, run->reason, run->path);

        for (size_t i = 0; i < run->n_notes && used < sizeof text; i++)
                used += (size_t) snprintf(text + used, sizeof text - used, "\n    %s", run->notes[i]);
        return text;
}

void fixture_expect_end(struct fixture *fixture, enum gw_result result, enum gw_proof proof, const char *path) {
        struct gw_run *run = &fixture->run;

        if (scripted_run_until_end(run, MOST_MS) != SCRIPTED_DONE || run->result != result || run->proof != proof)
                fail_msg("%s", fixture_story(fixture));
        if (path && strcmp(path, run->path) != 0)
                fail_msg("not \"%s\": %s", path, fixture_story(fixture));
}

void fixture_expect(struct fixture *fixture, enum gw_result result, enum gw_proof proof, const char *path) {
        scripted_run_begin(&fixture->run);
        fixture_expect_end(fixture, result, proof, path);
}

void fixture_expect_failure(struct fixture *fixture, const char *name) {
        if (scripted_run_whole(&fixture->run, MOST_MS) != SCRIPTED_FAILED || strcmp(fixture->run.error.name, name) != 0)
                fail_msg("not \"%s\": %s", name, fixture_story(fixture));
}
