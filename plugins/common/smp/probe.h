/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Asks a device once what it is and what it can do. Every question is optional: a device that lacks a command says so (rc 8) and
 * is not asked again as long as the result is kept. The result belongs to the caller and must outlive the probe.
 */

#include "common/smp/client.h"
#include "common/smp/image.h"

enum smp_probe_item {
        SMP_PROBE_PARAMS = 1 << 0,     /* buffer size and count */
        SMP_PROBE_BOOTLOADER = 1 << 1, /* its name */
        SMP_PROBE_MODE = 1 << 2,       /* MCUboot's mode, no-downgrade; asked if the name was answered */
        SMP_PROBE_BOARD = 1 << 3,      /* os info "i" */
        SMP_PROBE_OS_INFO = 1 << 4,    /* os info "a": one line for people */
        SMP_PROBE_SLOT_INFO = 1 << 5,
        SMP_PROBE_MEMFAULT = 1 << 6, /* device information of group 128 */
        SMP_PROBE_ECHO = 1 << 7,     /* for a diagnosis */
};

/* What an update needs. */
#define SMP_PROBE_UPDATE                                                                                                                   \
        (SMP_PROBE_PARAMS | SMP_PROBE_BOOTLOADER | SMP_PROBE_MODE | SMP_PROBE_BOARD | SMP_PROBE_SLOT_INFO | SMP_PROBE_MEMFAULT)
#define SMP_PROBE_ALL 0xffu

/* Of MCUboot, as the device tells it. Others may come: compare, do not switch. */
enum smp_boot_mode {
        SMP_BOOT_UNKNOWN = -1,
        SMP_BOOT_SINGLE_SLOT = 0,
        SMP_BOOT_SWAP_SCRATCH = 1,
        SMP_BOOT_OVERWRITE_ONLY = 2,
        SMP_BOOT_SWAP_MOVE = 3,
        SMP_BOOT_DIRECT_XIP = 4,
        SMP_BOOT_DIRECT_XIP_REVERT = 5,
        SMP_BOOT_RAM_LOAD = 6,
        SMP_BOOT_FIRMWARE_LOADER = 7,
        SMP_BOOT_SINGLE_SLOT_RAM_LOAD = 8,
        SMP_BOOT_SWAP_OFFSET = 9,
};

struct smp_probe_result {
        uint32_t asked;               /* enum smp_probe_item: got an answer, whatever it was */
        uint32_t offered;             /* the device answered with data */
        uint32_t buf_size, buf_count; /* 0 = not told */
        char bootloader[32];
        int mode; /* enum smp_boot_mode, SMP_BOOT_UNKNOWN */
        bool no_downgrade;
        char board[GW_MODEL_MAX];
        char os_info[160]; /* "a": all of it, one line for people */
        struct smp_slot_info slot_info;
        char memfault_serial[64], memfault_hardware[GW_MODEL_MAX], memfault_software[48], memfault_version[GW_VERSION_MAX];
};

#define SMP_PROBE_RESULT_INIT                                                                                                              \
        { .mode = SMP_BOOT_UNKNOWN }

struct smp_probe;

/*
 * Asks for `items` that `result` has no answer to yet, one after the other. `done` comes once, later: 0; -ETIMEDOUT the device was
 * silent to the first question that went unanswered (what is known stays in `result`; `err` says more); -ENOTCONN; -ECANCELED.
 * A single command that stays silent while others were answered is taken as not offered.
 */
int smp_probe_start(struct smp_client *client, uint32_t items, struct smp_probe_result *result,
                    void (*done)(void *ctx, int result, const struct gw_error *err), void *ctx, struct smp_probe **ret_probe);
/* `done` comes later with -ECANCELED. Only before `done` came. */
void smp_probe_cancel(struct smp_probe *probe);
/* Ends it without `done`. Before smp_client_free(), if it still runs. NULL is fine. */
void smp_probe_free(struct smp_probe *probe);

/* How large messages may be and how many may be under way. */
struct smp_limits {
        size_t message_max;      /* bytes with the header */
        size_t message_fallback; /* what to try when the device is silent to large ones; <= message_max */
        uint32_t window;         /* 1.. */
};

/* `framing` = SMP_CONSOLE_FRAMING over a console, else 0. `window_cap` 0 = SMP_WINDOW_MAX. `link_max` from smp_client_max_message(). */
void smp_limits_compute(const struct smp_probe_result *result, size_t link_max, size_t framing, uint32_t window_cap,
                        struct smp_limits *ret_limits);
