/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Tests only: a dbus-daemon of our own in a folder of our own, so that nothing of the machine's bus is needed or touched. */

#include <sys/types.h>

struct private_bus {
        pid_t pid;
        char folder[64];
        char address[128]; /* for bus_new() and sd_bus_set_address() */
};

/* Blocks until it listens. Fails the test where dbus-daemon is missing. Starting again after a stop uses the same address. */
void private_bus_init(struct private_bus *bus);
void private_bus_start(struct private_bus *bus);
void private_bus_stop(struct private_bus *bus);
/* Stops it and removes the folder. */
void private_bus_deinit(struct private_bus *bus);
