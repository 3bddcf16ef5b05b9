/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * For the tests of this plugin: an SMP server with MCUboot behind it, at the other end of scripted links. It has up to two images of
 * two slots, swaps, tries and takes back as MCUboot does, and misbehaves on request. The first 32 bytes of a file are its image
 * hash, the next 8 its version "1.1.0". Time is the scripted host's.
 */

#include "common/cbor_map/cbor_map.h"
#include "common/smp/console.h"
#include "common/smp/frame.h"
#include "common/testing/scripted_gatt.h"

#define FAKE_IMAGES_MAX 2
#define FAKE_FILE_MAX 8192
#define FAKE_REFUSALS_MAX 24

struct fake_slot {
        bool present;
        uint8_t hash[32];
        char version[16];
        bool pending, permanent, confirmed;
};

struct fake_refusal {
        uint16_t group;
        uint8_t command;
        int op;        /* -1 any */
        int err_group; /* -1: plain rc */
        int code;
        int after; /* so many are answered before */
        int times; /* then so many are refused; 0 = all */
};

struct fake_device {
        struct scripted_host *host;

        /* What it is. */
        int mode;                     /* bootloader mode; -2: the bootloader is not told */
        size_t n_images;              /* 1 or 2 */
        uint32_t buf_size, buf_count; /* 0: not told */
        uint32_t slot_size;           /* 0: slot info is not offered */
        const char *board, *hardware; /* NULL: not offered */
        const char *software;         /* version that the application states beside `hardware` */
        const char *memfault_serial;  /* serial number, beside both; NULL: none */
        bool app_without_images;      /* what starts after a recovery has no image management */
        bool no_downgrade;
        bool recovery;           /* the bootloader itself answers */
        bool no_hashes;          /* it lists no hashes */
        bool version_1;          /* answers version 1 and plain codes */
        bool active_only_first;  /* flags only image 0 as running */
        bool hides_network_core; /* never lists what runs as image 1 */
        int64_t boot_ms, swap_ms;

        /* How it misbehaves. */
        struct fake_refusal refusals[FAKE_REFUSALS_MAX];
        size_t n_refusals;
        bool refuse_swap, reject_image, crash_at_boot, ignore_test, lose_upload, never_returns, app_silent;
        bool dead;              /* answers nothing any more */
        int64_t crash_after_ms; /* on trial; 0: never */
        size_t silent_above;    /* longer requests get no answer; 0: none */
        size_t dead_above;      /* a longer one is the last that it hears */
        int64_t reset_delay_ms; /* between the answer and the reset */
        bool drop_reset_answer;
        bool ignore_reset_once;
        unsigned stays_in_recovery; /* so many boots end in the bootloader again */
        bool unplugs;               /* the serial port goes away while it boots */
        int stop_answering_after;   /* requests; -1: never */
        const char *noise;          /* said at every opening of the port, serial only */

        /* With Bluetooth: the radio side of the device, fake_device_on_air(). */
        struct scripted_ble *ble;
        const char *next_key;   /* its address after the next boot; NULL: the same */
        bool drops_at_reset;    /* the link goes before the answer to the reset */
        size_t lose_packet;     /* of its notifications the n-th is lost, once; 0: none */

        /* State. */
        struct fake_slot slots[FAKE_IMAGES_MAX][2];
        unsigned active[FAKE_IMAGES_MAX]; /* slot that runs */
        bool booting, reset_due;
        uint8_t file[FAKE_FILE_MAX];
        size_t file_size, file_off;
        uint8_t file_sha[32];
        bool upload_session;
        unsigned upload_image;

        /* What happened. */
        unsigned n_requests, n_uploads_begun, n_uploads_ended, n_tests, n_confirms, n_resets, n_boots, n_erases;
        uint64_t n_bytes_written;
        char unknown[64];
        void (*on_request)(void *ctx, struct fake_device *device); /* before it is answered; may crash the daemon */
        void *on_request_ctx;

        /* Inside. */
        struct smp_console_decoder decoder;
        uint8_t pieces[4096]; /* of a request that comes in packets */
        size_t pieces_size;
        size_t n_notified;
        unsigned boot_number;
};

/* A device that swaps, with one image whose hash bytes are all `hash`, version 1.0.0, running and confirmed. */
void fake_device_init(struct fake_device *device, struct scripted_host *host, uint8_t hash);
void fake_device_deinit(struct fake_device *device);
/* It is a Bluetooth device from now on: advertises every 500 ms while nobody is connected, vanishes while it boots. */
void fake_device_on_air(struct fake_device *device, struct scripted_gatt *gatt, const char *key, const char *name);
void fake_device_put(struct fake_device *device, unsigned image, unsigned slot, uint8_t hash, const char *version);
void fake_device_refuse(struct fake_device *device, struct fake_refusal refusal);
/* Power goes and comes back. */
void fake_device_power_cycle(struct fake_device *device);
/* Fills `file`: hash bytes, version, then a pattern. */
void fake_file(uint8_t *file, size_t size, uint8_t hash, const char *version);
