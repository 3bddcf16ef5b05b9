/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * For the tests of whole runs: a scripted host, a fake device at the other end of its links, an order for one file, and one run. The
 * device runs image 0x01 version 1.0.0; the order wants 0x02 version 1.1.0.
 */

#include "common/testing/scripted_host.h"
#include "common/testing/scripted_run.h"
#include "driver.h"
#include "fake_device.h"

#define FIXTURE_FILE_SIZE 3000
#define FIXTURE_KEY "DE063B974CD8" /* of the Bluetooth device */

enum { OLD = 1, NEW = 2, OTHER = 3, NET_OLD = 4, NET_NEW = 5 };

struct fixture {
        struct scripted_host host;
        struct scripted_gatt gatt; /* with driver_ble */
        struct fake_device device;
        const struct gw_driver *driver;
        void *driver_ctx;
        struct gw_device *entry; /* of the registry */
        struct gw_part parts[2];
        struct gw_order order;
        struct gw_run run;
};

void fixture_init(struct fixture *fixture, const struct gw_driver *driver);
/* A new run; the one before must be deinitialised. */
void fixture_run(struct fixture *fixture, enum gw_operation_kind operation);
void fixture_deinit(struct fixture *fixture);
/* One more wanted image, with a file of its own unless `hash` is to be there already (`size` 0). */
void fixture_want(struct fixture *fixture, uint8_t image, uint8_t hash, const char *version, size_t size);

/* Runs the job to its end and checks it; the path may be NULL. */
void fixture_expect(struct fixture *fixture, enum gw_result result, enum gw_proof proof, const char *path);
void fixture_expect_failure(struct fixture *fixture, const char *name);
/* The same for a run that has begun already. */
void fixture_expect_end(struct fixture *fixture, enum gw_result result, enum gw_proof proof, const char *path);
/* Shows what happened, for a message. */
const char *fixture_story(const struct fixture *fixture);
