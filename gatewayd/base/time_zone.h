/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Time zones read from the time zone database: TZif files of RFC 8536 and RFC 9636 (versions 1 to 4), with the rule behind the last
 * transition. Never setenv("TZ"): one process works with many zones at once. Nothing here asks for the time.
 *
 * A file is small and read where it is first needed; struct time_zones keeps what was read, so that answers do not change before the next
 * start when the database is updated beneath.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

#define TIME_ZONE_DIRECTORY "/usr/share/zoneinfo"

struct time_zone;

/* -EBADMSG: no TZif, or one with leap seconds (those count other seconds than everything else here); -ENOMEM. */
int time_zone_parse(const void *data, size_t size, struct time_zone **ret_zone);
/* -EINVAL: not a name; -ENOENT: no such zone (also where the whole directory is absent); -EBADMSG; other errors of reading. */
int time_zone_load(const char *directory, const char *name, struct time_zone **ret_zone);
void time_zone_free(struct time_zone *zone);
DEFINE_CLEANUP(struct time_zone *, time_zone_free);
#define _cleanup_time_zone_ _cleanup_(time_zone_freep)

/* A stretch of time with one offset to UTC: from_s <= t < to_s; INT64_MIN and INT64_MAX where it has no beginning or end. */
struct time_zone_span {
        int64_t from_s, to_s;
        int32_t offset_s; /* local = UTC + offset */
};

/* The stretch that holds this instant (seconds since 1970). Neighbours may have the same offset. */
struct time_zone_span time_zone_span(const struct time_zone *zone, int64_t unix_s);

/*
 * The instant at which a clock on the wall shows this local time, counted in seconds since 1970-01-01 00:00 of that clock. A time that is
 * skipped when the clock goes forward gives the first instant after the gap, one that comes twice the first of both.
 */
int64_t time_zone_from_local(const struct time_zone *zone, int64_t local_s);

/* --- the zones that one process has read --- */

struct time_zones;

/* Copies the name of the directory; nothing is read yet. NULL when out of memory. */
struct time_zones *time_zones_new(const char *directory);
void time_zones_free(struct time_zones *zones);
DEFINE_CLEANUP(struct time_zones *, time_zones_free);
#define _cleanup_time_zones_ _cleanup_(time_zones_freep)

/* Lends; errors of time_zone_load(), -ENOSPC when TIME_ZONES_MAX are kept. "UTC" is there without any file. */
int time_zones_get(struct time_zones *zones, const char *name, const struct time_zone **ret_zone);
