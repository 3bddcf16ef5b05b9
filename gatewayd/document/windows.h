/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * When maintenance windows are open: arithmetic on instants that the caller names, no clock, no memory beyond the windows themselves.
 *
 * A window opens on each of its days at its local time and stays open for its duration of real time, over midnight and over any change of
 * the clocks. A start that the clocks skip is the first instant after the gap, one that they show twice is the first of both. Windows
 * that overlap or touch are one stretch. Work may be done while the windows of the campaign and those of the gateway are open both; where
 * there is none, it is always open.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gatewayd/plugin.h>

#include "base/time_window.h"
#include "base/time_zone.h"

/* How far is looked ahead for the next opening: rules of different zones drift against each other within a year, not beyond it. */
#define WINDOWS_AHEAD_MS (400ll * 24 * 3600 * 1000)
/* What stays open longer is said to close then; ask again. */
#define WINDOWS_STRETCH_MAX_MS (35ll * 24 * 3600 * 1000)

/* Windows with their time zones, immutable. */
struct windows;

/* Copies the windows, lends the zones: they outlive it. -ENOENT with err `timezone-unknown`; -ENOMEM and others. */
int windows_new(const struct time_window *list, size_t n_list, struct time_zones *zones, struct windows **ret_windows,
                struct gw_error *err);
void windows_free(struct windows *windows);
DEFINE_CLEANUP(struct windows *, windows_free);
#define _cleanup_windows_ _cleanup_(windows_freep)

/* Both must be open. NULL or no window in it: no restriction. */
struct windows_pair {
        const struct windows *campaign, *gateway;
};

struct windows_state {
        bool open;
        int64_t until_ms; /* when it closes, or opens next; INT64_MAX: never */
};

struct windows_state windows_at(const struct windows_pair *pair, int64_t now_ms);

/* The longest stretch that is open without a break within from_ms..to_ms, 0 when there is none: what a job must fit into. */
int64_t windows_longest_ms(const struct windows_pair *pair, int64_t from_ms, int64_t to_ms);
