/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The ways to a device. All that a driver adds to the common steps is one of these tables: how a link to this device is opened and
 * given to the SMP client. A GATT link becomes a third table; nothing else changes.
 */

#include "common/smp/client.h"
#include "common/smp/console.h"
#include "tuning.h"

#define TRANSPORT_NOISE_LINES 4 /* of other text on a console, kept for a diagnosis */
#define TRANSPORT_NOISE_MAX 96  /* bytes of one */
#define TRANSPORT_PORT_MAX 256  /* bytes of a port's path or an address, with its NUL */

/* One opening of a link. Stays where it is (callbacks point to it) until the client is detached or freed. */
struct transport_session {
        struct smp_client *client; /* given by the owner, with its tuning, before the first opening */
        const struct tuning *tuning;
        struct smp_console *console; /* serial only; ends with the link */
        char where[TRANSPORT_PORT_MAX];
        char noise[TRANSPORT_NOISE_LINES][TRANSPORT_NOISE_MAX];
        size_t n_noise;
};

struct transport {
        const char *driver;
        bool serial;
        size_t framing; /* bytes that the framing takes of the device's buffer */
        /* Opens a link to `device` and attaches it to the session's client; `opened` or `closed` of the client follow. -ENODEV with
         * `port-absent`: it is not there now, and that is no failure of the link. */
        int (*open)(const struct gw_host *host, const struct gw_device *device, struct transport_session *session, struct gw_error *err);
};

extern const struct transport transport_serial;
extern const struct transport transport_udp;

/* The same to a place that is no device yet. */
int transport_serial_open_port(const struct gw_host *host, const char *path, struct transport_session *session, struct gw_error *err);
int transport_udp_open_address(const struct gw_host *host, const char *address, struct transport_session *session, struct gw_error *err);

/* Where the device's port is now: `path` is filled. -ENODEV with `port-absent`. */
int transport_serial_find(const struct gw_host *host, const struct gw_device *device, char path[TRANSPORT_PORT_MAX], struct gw_error *err);

/* What an earlier opening left behind is forgotten. */
void transport_session_clear(struct transport_session *session);

/* Bytes of any kind and whole SMP messages that came since the link was opened; counts of the client go on over links. */
void transport_heard(const struct transport_session *session, uint64_t *ret_bytes, uint64_t *ret_messages);

/* "192.0.2.7" becomes "192.0.2.7:1337", "2001:db8::7" "[2001:db8::7]:1337". -EINVAL when it is too long or empty. */
int transport_udp_address(const char *address, char text[TRANSPORT_PORT_MAX]);
