/* SPDX-License-Identifier: Apache-2.0 */
#include "base/time_zone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <cmocka.h>

#include "base/limits.h"
#include "base/time.h"
#include "base/time_zone_samples.h"

static int64_t utc(const char *text) {
        int64_t ms = -1;

        assert_int_equal(time_parse_rfc3339(text, &ms), 0);
        return ms / 1000;
}

static struct time_zone *zone_of(const char *rule) {
        struct time_zone *zone = NULL;
        uint8_t file[512];

        assert_int_equal(time_zone_parse(file, time_zone_sample(file, rule), &zone), 0);
        return zone;
}

/* --- rules behind the last transition --- */

static const struct {
        const char *rule, *at;
        int32_t offset_s;
        const char *from, *to; /* NULL: for ever */
} spans[] = {
        {"UTC0", "2026-07-01T00:00:00Z", 0, NULL, NULL},
        {SAMPLE_KATHMANDU, "2026-07-01T00:00:00Z", 20700, NULL, NULL},
        {SAMPLE_OSLO, "2026-03-29T00:59:59Z", 3600, "2025-10-26T01:00:00Z", "2026-03-29T01:00:00Z"},
        {SAMPLE_OSLO, "2026-03-29T01:00:00Z", 7200, "2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z"},
        {SAMPLE_OSLO, "2026-10-25T01:00:00Z", 3600, "2026-10-25T01:00:00Z", "2027-03-28T01:00:00Z"},
        {SAMPLE_NEW_YORK, "2026-03-08T06:59:59Z", -18000, "2025-11-02T06:00:00Z", "2026-03-08T07:00:00Z"},
        {SAMPLE_NEW_YORK, "2026-11-01T05:59:59Z", -14400, "2026-03-08T07:00:00Z", "2026-11-01T06:00:00Z"},
        {SAMPLE_LORD_HOWE, "2026-04-04T14:59:59Z", 39600, "2025-10-04T15:30:00Z", "2026-04-04T15:00:00Z"},
        {SAMPLE_LORD_HOWE, "2026-04-04T15:00:00Z", 37800, "2026-04-04T15:00:00Z", "2026-10-03T15:30:00Z"},
        {SAMPLE_LORD_HOWE, "2027-01-01T00:00:00Z", 39600, "2026-10-03T15:30:00Z", "2027-04-03T15:00:00Z"},
        /* Greenland changes at the same instant as Europe, that is on the evening before: an hour below zero. */
        {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2026-03-29T01:00:00Z", -3600, "2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z"},
        /* Ireland calls its winter the exception. */
        {"IST-1GMT0,M10.5.0,M3.5.0/1", "2026-12-01T00:00:00Z", 0, "2026-10-25T01:00:00Z", "2027-03-28T01:00:00Z"},
        {"IST-1GMT0,M10.5.0,M3.5.0/1", "2026-07-01T00:00:00Z", 3600, "2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z"},
        /* Summer all year round: the change back is at the instant of the next one. */
        {"XXX3EDT4,0/0,J365/23", "2026-12-31T23:30:00Z", -14400, "2026-01-01T03:00:00Z", "2027-01-01T03:00:00Z"},
        {"AAA0BBB,J60,J61", "2028-03-01T02:00:00Z", 3600, "2028-03-01T02:00:00Z", "2028-03-02T01:00:00Z"},
        {"AAA0BBB,59,60", "2028-02-29T02:00:00Z", 3600, "2028-02-29T02:00:00Z", "2028-03-01T01:00:00Z"},
        {"AAA0BBB,M2.5.2,M6.1.1", "2028-02-29T02:00:00Z", 3600, "2028-02-29T02:00:00Z", "2028-06-05T01:00:00Z"},
        /* A summer that ends after the next one began is over then, whichever year is looked from. */
        {"XXX4EDT,0/0,J365/26", "1973-12-31T23:59:59Z", -14400, "1973-01-01T05:00:00Z", "1974-01-01T04:00:00Z"},
        {"XXX4EDT,0/0,J365/26", "1974-01-01T00:00:00Z", -14400, "1973-01-01T05:00:00Z", "1974-01-01T04:00:00Z"},
        /* Both changes of a year in the last days of the year before. */
        {"AAA0BBB,0/-100,0/-90", "2026-12-30T00:00:00Z", 0, "2026-12-28T05:00:00Z", "2027-12-27T20:00:00Z"},
        /* A change a week behind its day, in the year after. */
        {"AAA0BBB,M12.5.0/167,M6.1.0", "2027-01-02T22:59:59Z", 0, "2026-06-07T01:00:00Z", "2027-01-02T23:00:00Z"},
};

static void test_rules(void **state) {
        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(spans); i++) {
                _cleanup_time_zone_ struct time_zone *zone = zone_of(spans[i].rule);
                struct time_zone_span span = time_zone_span(zone, utc(spans[i].at));

                if (span.offset_s != spans[i].offset_s || span.from_s != (spans[i].from ? utc(spans[i].from) : INT64_MIN) ||
                    span.to_s != (spans[i].to ? utc(spans[i].to) : INT64_MAX))
                        fail_msg("%s at %s: %lld..%lld %d", spans[i].rule, spans[i].at, (long long) span.from_s, (long long) span.to_s,
                                 span.offset_s);
        }
}

static void test_bad_rules(void **state) {
        static const char *const bad[] = {
                "CE-1",
                "CET",
                "CET-",
                "<>-1",
                "<+1-1",
                "CET-1 ",
                "CET-26",
                "CET-1:60",
                "CET-1CEST",
                "CET-1CEST,M3",
                "CET-1CEST,0",
                "CET-1CEST,0,",
                "A1B-1",
                "CET-1CEST,J0,0",
                "CET-1CEST,J366,0",
                "CET-1CEST,366,0",
                "CET-1CEST,M0.1.0,0",
                "CET-1CEST,M13.1.0,0",
                "CET-1CEST,M1.0.0,0",
                "CET-1CEST,M1.6.0,0",
                "CET-1CEST,M1.1.7,0",
                "CET-1CEST,0/168,0",
                "CET-1CEST,0,0x",
                "CET-99999999999999999999",
                "CET-1CEST-,0,0",
        };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                struct time_zone *zone = NULL;
                uint8_t file[512];

                if (time_zone_parse(file, time_zone_sample(file, bad[i]), &zone) != -EBADMSG || zone)
                        fail_msg("\"%s\" is no rule", bad[i]);
        }
}

/* --- from local time --- */

static const struct {
        const char *rule, *local, *utc; /* local is written as if it were UTC */
} locals[] = {
        {SAMPLE_OSLO, "2026-01-15T22:00:00Z", "2026-01-15T21:00:00Z"},
        {SAMPLE_OSLO, "2026-07-15T22:00:00Z", "2026-07-15T20:00:00Z"},
        /* the gap 02:00 to 03:00, and its edges */
        {SAMPLE_OSLO, "2026-03-29T01:59:59Z", "2026-03-29T00:59:59Z"},
        {SAMPLE_OSLO, "2026-03-29T02:00:00Z", "2026-03-29T01:00:00Z"},
        {SAMPLE_OSLO, "2026-03-29T02:30:00Z", "2026-03-29T01:00:00Z"},
        {SAMPLE_OSLO, "2026-03-29T03:00:00Z", "2026-03-29T01:00:00Z"},
        /* 02:00 to 03:00 comes twice */
        {SAMPLE_OSLO, "2026-10-25T01:59:59Z", "2026-10-24T23:59:59Z"},
        {SAMPLE_OSLO, "2026-10-25T02:00:00Z", "2026-10-25T00:00:00Z"},
        {SAMPLE_OSLO, "2026-10-25T02:59:59Z", "2026-10-25T00:59:59Z"},
        {SAMPLE_OSLO, "2026-10-25T03:00:00Z", "2026-10-25T02:00:00Z"},
        {SAMPLE_NEW_YORK, "2026-03-08T02:30:00Z", "2026-03-08T07:00:00Z"},
        {SAMPLE_NEW_YORK, "2026-11-01T01:30:00Z", "2026-11-01T05:30:00Z"},
        {SAMPLE_NEW_YORK, "2026-11-01T02:00:00Z", "2026-11-01T07:00:00Z"},
        /* half an hour only */
        {SAMPLE_LORD_HOWE, "2026-10-04T02:15:00Z", "2026-10-03T15:30:00Z"},
        {SAMPLE_LORD_HOWE, "2026-10-04T02:30:00Z", "2026-10-03T15:30:00Z"},
        {SAMPLE_LORD_HOWE, "2026-04-05T01:30:00Z", "2026-04-04T14:30:00Z"},
        {SAMPLE_LORD_HOWE, "2026-04-05T01:59:00Z", "2026-04-04T14:59:00Z"},
        {SAMPLE_LORD_HOWE, "2026-04-05T02:00:00Z", "2026-04-04T15:30:00Z"},
        {SAMPLE_KATHMANDU, "2026-04-05T02:00:00Z", "2026-04-04T20:15:00Z"},
};

static void test_from_local(void **state) {
        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(locals); i++) {
                _cleanup_time_zone_ struct time_zone *zone = zone_of(locals[i].rule);

                if (time_zone_from_local(zone, utc(locals[i].local)) != utc(locals[i].utc))
                        fail_msg("%s in %s", locals[i].local, locals[i].rule);
        }
}

/* --- files --- */

static void test_transitions(void **state) {
        static const int64_t at[] = {100, 200, 300};
        static const int32_t offsets[] = {0, 3600, 0, -3600};
        _cleanup_time_zone_ struct time_zone *zone = NULL;
        uint8_t file[512];
        size_t size = time_zone_sample_transitions(file, 0, at, offsets, ARRAY_SIZE(at), "");

        (void) state;
        assert_int_equal(time_zone_parse(file, size, &zone), 0);
        assert_int_equal(time_zone_span(zone, -1000).offset_s, 0);
        assert_int_equal(time_zone_span(zone, 99).to_s, 100);
        assert_int_equal(time_zone_span(zone, 100).offset_s, 3600);
        assert_int_equal(time_zone_span(zone, 299).from_s, 200);
        assert_int_equal(time_zone_span(zone, 300).offset_s, -3600);
        assert_int_equal(time_zone_span(zone, 1000000).from_s, 300);
        assert_int_equal(time_zone_span(zone, 1000000).to_s, INT64_MAX);
}

/* The rule begins where the transitions end, in the middle of a summer if it must. */
static void test_transitions_and_rule(void **state) {
        static const int32_t offsets[] = {1800, 7200};
        _cleanup_time_zone_ struct time_zone *zone = NULL;
        int64_t at[] = {utc("2026-06-01T00:00:00Z")};
        uint8_t file[512];
        size_t size = time_zone_sample_transitions(file, '3', at, offsets, ARRAY_SIZE(at), SAMPLE_OSLO);

        (void) state;
        assert_int_equal(time_zone_parse(file, size, &zone), 0);
        assert_int_equal(time_zone_span(zone, at[0] - 1).offset_s, 1800);
        assert_int_equal(time_zone_span(zone, at[0]).offset_s, 7200);
        assert_int_equal(time_zone_span(zone, at[0]).from_s, at[0]);
        assert_int_equal(time_zone_span(zone, at[0]).to_s, utc("2026-10-25T01:00:00Z"));
}

static void test_far_away(void **state) {
        static const int64_t instants[] = {INT64_MIN / 2, -((int64_t) 1 << 35) - 1, -((int64_t) 1 << 35), 0, (int64_t) 1 << 38,
                                           INT64_MAX / 2};
        _cleanup_time_zone_ struct time_zone *zone = zone_of(SAMPLE_OSLO);

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(instants); i++) {
                struct time_zone_span span = time_zone_span(zone, instants[i]);
                int64_t again = time_zone_from_local(zone, instants[i] + span.offset_s);

                assert_true(span.from_s <= instants[i] && instants[i] < span.to_s);
                /* Itself, or an instant before it at which the clocks showed the same. */
                assert_true(again == instants[i] || (again < instants[i] && again >= instants[i] - 3600));
        }
}

static int parse(const uint8_t *file, size_t size) {
        _cleanup_time_zone_ struct time_zone *zone = NULL;

        return time_zone_parse(file, size, &zone);
}

#define SECOND (44 + 6 + 4) /* where the second header begins */

static void test_damaged_files(void **state) {
        static const struct {
                size_t at;
                uint8_t value;
        } damage[] = {
                {0, 't'},
                {4, '1'},
                {4, '5'},
                {SECOND, 't'},
                {SECOND + 4, 1}, /* magic and version */
                {SECOND + 23, 3},
                {SECOND + 31, 1},
                {SECOND + 35, 4},
                {SECOND + 36, 1},
                {SECOND + 39, 0},
                {SECOND + 43, 9},              /* counts */
                {SECOND + 44, 0x7f},           /* out of order */
                {SECOND + 44 + 3 * 8 + 1, 99}, /* no such type */
                {SECOND + 44 + 3 * 9, 0x7f},   /* an offset of years */
        };
        static const int64_t at[] = {100, 200, 300};
        static const int32_t offsets[] = {0, 3600, 0, 3600};
        uint8_t file[512], copy[512];
        size_t size = time_zone_sample_transitions(file, '2', at, offsets, ARRAY_SIZE(at), "CET-1");

        (void) state;
        assert_int_equal(parse(file, size), 0);
        for (size_t cut = 0; cut < size; cut++)
                assert_int_equal(parse(file, cut), -EBADMSG);
        for (size_t i = 0; i < ARRAY_SIZE(damage); i++) {
                memcpy(copy, file, size);
                copy[damage[i].at] = damage[i].value;
                if (parse(copy, size) != -EBADMSG)
                        fail_msg("byte %zu = %u was not noticed", damage[i].at, damage[i].value);
        }
}

/* --- the directory --- */

static void write_sample(const char *path, const char *rule) {
        _cleanup_fclose_ FILE *file = fopen(path, "w");
        uint8_t data[512];
        size_t size = time_zone_sample(data, rule);

        assert_non_null(file);
        assert_int_equal(fwrite(data, 1, size, file), size);
}

static void test_directory(void **state) {
        char directory[] = "/tmp/time-zone-test-XXXXXX", path[64];
        _cleanup_time_zones_ struct time_zones *zones = NULL;
        const struct time_zone *zone = NULL, *again = NULL;

        (void) state;
        assert_non_null(mkdtemp(directory));
        snprintf(path, sizeof(path), "%s/Europe", directory);
        assert_int_equal(mkdir(path, 0700), 0);
        snprintf(path, sizeof(path), "%s/Europe/Oslo", directory);
        write_sample(path, SAMPLE_OSLO);
        zones = time_zones_new(directory);
        assert_int_equal(time_zones_get(zones, "Europe/Oslo", &zone), 0);
        assert_int_equal(time_zone_span(zone, utc("2026-07-01T00:00:00Z")).offset_s, 7200);
        /* What was read stays, whatever lies there now. */
        write_sample(path, SAMPLE_KATHMANDU);
        assert_int_equal(time_zones_get(zones, "Europe/Oslo", &again), 0);
        assert_ptr_equal(zone, again);
        assert_int_equal(time_zones_get(zones, "UTC", &again), 0);
        assert_int_equal(time_zone_span(again, 5).offset_s, 0);
        assert_int_equal(time_zones_get(zones, "Europe", &again), -ENOENT);
        assert_int_equal(time_zones_get(zones, "Europe/Bergen", &again), -ENOENT);
        assert_int_equal(time_zones_get(zones, "Europe/Oslo/Sentrum", &again), -ENOENT);
        assert_int_equal(time_zones_get(zones, "../Europe/Oslo", &again), -EINVAL);
        assert_int_equal(time_zones_get(zones, "/etc/localtime", &again), -EINVAL);
        assert_int_equal(truncate(path, 30), 0);
        assert_int_equal(time_zone_load(directory, "Europe/Oslo", &(struct time_zone *){NULL}), -EBADMSG);
        assert_int_equal(truncate(path, TIME_ZONE_FILE_MAX + 1), 0);
        assert_int_equal(time_zone_load(directory, "Europe/Oslo", &(struct time_zone *){NULL}), -EBADMSG);
        unlink(path);
        snprintf(path, sizeof(path), "%s/Europe", directory);
        rmdir(path);
        rmdir(directory);
}

/* The C library reads the same files: for a quarter of a century both say the same of the zones with the oddest rules. */
static void test_against_libc(void **state) {
        static const char *const names[] = {
                "Europe/Oslo",       "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu",   "Europe/Dublin",
                "Africa/Casablanca", "Pacific/Apia",     "America/St_Johns",    "Antarctica/Troll", "Africa/Cairo",
                "America/Nuuk",      "Asia/Gaza",        "America/Asuncion",    "Etc/GMT+5",
        };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                _cleanup_time_zone_ struct time_zone *zone = NULL;

                if (time_zone_load(TIME_ZONE_DIRECTORY, names[i], &zone) < 0)
                        fail_msg("no %s in " TIME_ZONE_DIRECTORY ": is tzdata installed?", names[i]);
                setenv("TZ", names[i], 1);
                tzset();
                for (time_t at = 1577836800; at < 1577836800 + (time_t) 25 * 366 * 86400; at += 6 * 3600) {
                        struct tm local;

                        localtime_r(&at, &local);
                        if (time_zone_span(zone, at).offset_s != local.tm_gmtoff)
                                fail_msg("%s at %lld: %d, not %ld", names[i], (long long) at, time_zone_span(zone, at).offset_s,
                                         local.tm_gmtoff);
                }
        }
        unsetenv("TZ");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rules),
                cmocka_unit_test(test_bad_rules),
                cmocka_unit_test(test_from_local),
                cmocka_unit_test(test_transitions),
                cmocka_unit_test(test_transitions_and_rule),
                cmocka_unit_test(test_far_away),
                cmocka_unit_test(test_damaged_files),
                cmocka_unit_test(test_directory),
                cmocka_unit_test(test_against_libc),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
