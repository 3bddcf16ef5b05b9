/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * For tests: TZif files made here, so that no test depends on which rules the machine's database has this year.
 */

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define SAMPLE_OSLO "CET-1CEST,M3.5.0,M10.5.0/3"
#define SAMPLE_NEW_YORK "EST5EDT,M3.2.0,M11.1.0"
#define SAMPLE_LORD_HOWE "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0"
#define SAMPLE_KATHMANDU "<+0545>-5:45"

static inline size_t sample_u32(uint8_t *at, uint32_t value) {
        value = htobe32(value);
        memcpy(at, &value, sizeof(value));
        return sizeof(value);
}

/* Header and block with times of time_size bytes. offsets[0] holds before the first transition, offsets[i + 1] from transition i on. */
static inline size_t sample_block(uint8_t *file, char version, size_t time_size, const int64_t *at, const int32_t *offsets, uint32_t n) {
        const uint32_t counts[] = {0, 0, 0, n, n + 1, 4};
        size_t size = 20;

        memset(file, 0, size);
        memcpy(file, "TZif", 4);
        file[4] = (uint8_t) version;
        for (size_t i = 0; i < 6; i++)
                size += sample_u32(file + size, counts[i]);
        for (uint32_t i = 0; i < n; i++) {
                if (time_size == 8)
                        size += sample_u32(file + size, (uint32_t) ((uint64_t) at[i] >> 32));
                size += sample_u32(file + size, (uint32_t) at[i]);
        }
        for (uint32_t i = 0; i < n; i++)
                file[size++] = (uint8_t) (i + 1);
        for (uint32_t i = 0; i <= n; i++) {
                size += sample_u32(file + size, (uint32_t) offsets[i]);
                file[size++] = 0;
                file[size++] = 0;
        }
        memcpy(file + size, "XXX", 4);
        return size + 4;
}

/* version 0 has no second block and no rule. Gives the size. */
static inline size_t time_zone_sample_transitions(uint8_t *file, char version, const int64_t *at, const int32_t *offsets, uint32_t n,
                                                  const char *rule) {
        static const int32_t zero = 0;
        size_t size;

        if (version == 0)
                return sample_block(file, 0, 4, at, offsets, n);
        size = sample_block(file, version, 4, NULL, &zero, 0);
        size += sample_block(file + size, version, 8, at, offsets, n);
        file[size++] = '\n';
        memcpy(file + size, rule, strlen(rule));
        size += strlen(rule);
        file[size++] = '\n';
        return size;
}

/* A zone that follows one rule for ever. file has 512 bytes. */
static inline size_t time_zone_sample(uint8_t *file, const char *rule) {
        static const int32_t zero = 0;

        return time_zone_sample_transitions(file, '3', NULL, &zero, 0, rule);
}
