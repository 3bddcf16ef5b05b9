/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Inside of api/: gateway.diagnose. Each check leaves one or more findings, and a remedy where a person has to do something. It looks
 * only: nothing is opened for writing, no port is opened at all (that would pull DTR, which resets many boards).
 */

#include "api/call.h"

#define FINDING_TEXT_SIZE 512

enum finding_level {
        FINDING_OK,
        FINDING_WARNING,
        FINDING_ERROR,
};

struct diagnosis {
        const struct api_options *options;
        struct json *findings;
        struct json *last; /* the newest finding, lent by findings */
        size_t n_loaded;   /* plugins */
};

void finding(struct diagnosis *diagnosis, const char *check, enum finding_level level, const char *format, ...) GW_PRINTF(4, 5);
/* Of the newest finding. */
void remedy(struct diagnosis *diagnosis, const char *format, ...) GW_PRINTF(2, 3);
/* What the catalogue, or the plugin, advises. */
void remedy_of(struct diagnosis *diagnosis, const char *name);
/* The user that this process runs as; returns dst. */
const char *own_user(char *dst, size_t size);

/* Bluetooth, where a driver uses it. `why`: what a real call to the service said; NULL: it can be used. */
void diagnose_bluetooth(struct diagnosis *diagnosis, const struct gw_error *why);
/* The serial ports: rights, and who else uses them. */
void diagnose_ports(struct diagnosis *diagnosis);
