/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Which known serial devices are plugged in: after every change of the ports, those that came are reported seen (a job that waits for
 * one wakes up) and those that went are reported gone. Nothing is written to any port, and unknown ports are not reported.
 */

#include "driver.h"

struct ports;

int ports_new(struct driver *driver, struct ports **ret_ports);
void ports_free(struct ports *ports);
