/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The ways to a device. All that a driver adds to the common steps is one of these tables: how a link to this device is opened and
 * given to the SMP client, and what kind of way it is.
 */

#include "common/smp/ble.h"
#include "common/smp/client.h"
#include "common/smp/console.h"
#include "tuning.h"

#define TRANSPORT_NOISE_LINES 4 /* of other text on a console, kept for a diagnosis */
#define TRANSPORT_NOISE_MAX 96  /* bytes of one */
#define TRANSPORT_OPEN_TIMEOUT_MS 10000 /* a name that does not resolve, a driver that hangs */
#define TRANSPORT_PORT_MAX 256  /* bytes of a port's path or an address, with its NUL */

/* One opening of a link. Stays where it is (callbacks point to it) until the client is detached or freed. */
struct transport_session {
        struct smp_client *client; /* given by the owner, with its tuning, before the first opening */
        const struct tuning *tuning;
        /* BLE only, given before an opening. */
        uint32_t priority; /* how near its end the work is, 0..100 */
        int64_t fresh_ms;  /* > 0: the device was reset; how long to wait for it to advertise */
        bool (*match)(void *ctx, const struct gw_gatt_peer *peer); /* is it this one, under another address? NULL: never */
        void *match_ctx;

        struct smp_console *console; /* serial only; ends with the link */
        struct gw_link *ble;         /* BLE only; ends with the link */
        struct smp_ble_peer peer;    /* BLE only; of the last link that opened */
        char where[TRANSPORT_PORT_MAX];
        char noise[TRANSPORT_NOISE_LINES][TRANSPORT_NOISE_MAX];
        size_t n_noise;
};

struct transport {
        const char *driver;
        enum transport_kind kind;
        size_t framing;          /* bytes that the framing takes of the device's buffer */
        int64_t open_timeout_ms; /* until `opened`; 0: an opening ends by itself */
        bool scarce;             /* few links can be open at once: who only waits for a time gives his back */
        /* Opens a link to `device` and attaches it to the session's client; `opened` or `closed` of the client follow. -ENODEV with
         * `port-absent`: it is not there now, and that is no failure of the link. */
        int (*open)(const struct gw_host *host, const struct gw_device *device, struct transport_session *session, struct gw_error *err);
        /* The client was told `opened`; NULL: nothing is to be kept. */
        void (*opened)(struct transport_session *session);
};

extern const struct transport transport_serial;
extern const struct transport transport_udp;
extern const struct transport transport_ble;

/* The same to a place that is no device yet. */
int transport_serial_open_port(const struct gw_host *host, const char *path, struct transport_session *session, struct gw_error *err);
int transport_udp_open_address(const struct gw_host *host, const char *address, struct transport_session *session, struct gw_error *err);

/* Key of the address where the device is now, which is not its own where it changed. */
void transport_ble_key(const struct gw_host *host, const struct gw_device *device, char ret_key[GW_GATT_KEY_SIZE]);
/* "DE:06:3B:97:4C:D8" of "DE063B974CD8". */
void transport_ble_address(const char *key, char *ret_address, size_t size);

/* Brings `peer` up to date; nothing where there is no open BLE link. */
void transport_look_at_peer(struct transport_session *session);

/* Bytes of a message that need not be put together by the device; SIZE_MAX where that is no question. Of an open link. */
size_t transport_packet_max(const struct transport_session *session);

/* Where the device's port is now: `path` is filled. -ENODEV with `port-absent`. */
int transport_serial_find(const struct gw_host *host, const struct gw_device *device, char path[TRANSPORT_PORT_MAX], struct gw_error *err);

/* The device is not there now, by the name of the error; nothing is wrong with the way to it. */
bool transport_is_absent(const struct gw_error *why);
/* The way to it is closed for a while, by the name of the error: the name a job waits with. NULL: it is not that. */
const char *transport_wait_reason(const struct gw_error *why);

/* Another attempt will end the same way: a person must pair, or look at the firmware. */
bool transport_is_refused(const struct gw_error *why);

/* What an earlier opening left behind is forgotten. */
void transport_session_clear(struct transport_session *session);

/* Bytes of any kind and whole SMP messages that came since the link was opened; counts of the client go on over links. */
void transport_heard(const struct transport_session *session, uint64_t *ret_bytes, uint64_t *ret_messages);

/* "192.0.2.7" becomes "192.0.2.7:1337", "2001:db8::7" "[2001:db8::7]:1337". -EINVAL when it is too long or empty. */
int transport_udp_address(const char *address, char text[TRANSPORT_PORT_MAX]);
