/* SPDX-License-Identifier: Apache-2.0 */
#include "common/smp/upload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "common/smp/smp_testing.h"

static struct testing_host host;
static struct testing_device device;
static struct smp_client *client;
static struct smp_upload *upload;
static struct smp_upload_report report;
static int result;
static unsigned n_done, n_progress;
static uint8_t image[TESTING_DEVICE_IMAGE_MAX];
static uint8_t sha[32];
static uint64_t last_progress;
static bool free_in_progress;

static int read_image(void *ctx, uint64_t offset, void *buffer, size_t size) {
        assert_true(offset + size <= *(uint64_t *) ctx);
        memcpy(buffer, image + offset, size);
        return 0;
}

static void on_progress(void *ctx, uint64_t confirmed, uint64_t total) {
        assert_true(confirmed <= total && total == *(uint64_t *) ctx);
        n_progress++;
        last_progress = confirmed;
        if (free_in_progress) {
                smp_upload_free(upload);
                upload = NULL;
        }
}

static void on_done(void *ctx, int r, const struct smp_upload_report *done_report) {
        assert_null(ctx);
        n_done++;
        result = r;
        report = *done_report;
        smp_upload_free(upload);
        upload = NULL;
}

static uint64_t image_size;

static struct smp_upload_options options_of(uint64_t size, size_t message_max, uint32_t window) {
        image_size = size;
        return (struct smp_upload_options){
                .size = size,
                .sha = sha,
                .limits = { .message_max = message_max, .message_fallback = message_max < 244 ? message_max : 244, .window = window },
                .read = read_image,
                .progress = on_progress,
                .ctx = &image_size,
        };
}

static void start(const struct smp_upload_options *options) {
        struct gw_error err = { 0 };

        n_done = n_progress = 0;
        last_progress = 0;
        assert_int_equal(smp_upload_start(client, options, on_done, NULL, &upload, &err), 0);
        assert_int_equal(n_done, 0);
}

/* Until the upload ends. Returns the ms it took. */
static unsigned n_sent;

static int64_t run(void) {
        int64_t begin_ms = host.now_ms;

        for (unsigned n = 0; n_done == 0; n++) {
                assert_true(n < 2000000);
                assert_true(testing_host_step(&host));
        }
        return host.now_ms - begin_ms;
}

static void assert_stored(uint64_t size) {
        if (result != 0)
                print_error("%s: %s\n", report.error.name, report.error.text);
        assert_int_equal(result, 0);
        assert_int_equal(n_done, 1);
        assert_true(device.finished);
        assert_int_equal(device.len, size);
        assert_memory_equal(device.image, image, size);
        assert_int_equal(last_progress, report.confirmed);
        if (!report.unproven)
                assert_int_equal(report.confirmed, size);
}

static int setup(void **state) {
        struct smp_client_options options = { .first_seq = 1 };

        (void) state;
        free_in_progress = false;
        for (size_t i = 0; i < sizeof image; i++)
                image[i] = (uint8_t) (i * 31 + (i >> 8) * 7);
        memset(sha, 0x5a, sizeof sha);
        testing_host_init(&host);
        testing_device_init(&device, &host);
        assert_int_equal(smp_client_new(&host.host, &options, NULL, NULL, &client), 0);
        smp_client_attach(client, &device.link.link, false);
        testing_link_open(&device.link);
        return 0;
}

static int teardown(void **state) {
        (void) state;
        smp_upload_free(upload);
        upload = NULL;
        smp_client_free(client);
        testing_device_deinit(&device);
        testing_host_deinit(&host);
        return 0;
}

/* ---- packets */

static void chunk_sizes_of_the_table(void **state) {
        static const size_t table[][5] = {
                { 128, 60, 106, 105, 103 },  { 244, 176, 222, 221, 219 },  { 384, 315, 361, 360, 358 },
                { 495, 426, 472, 471, 469 }, { 1020, 951, 997, 996, 994 }, { 2475, 2406, 2452, 2451, 2449 },
        };
        static const uint64_t offs[] = { 0, 100, 1000, 70000 };

        (void) state;
        for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
                for (size_t k = 0; k < 4; k++) {
                        struct smp_chunk_keys keys = { .off = offs[k], .first = k == 0, .len = 70000, .sha_size = 32 };

                        assert_int_equal(smp_upload_chunk_size(table[i][0], &keys), table[i][k + 1]);
                }
        }
        /* Nothing fits. */
        assert_int_equal(smp_upload_chunk_size(20, &(struct smp_chunk_keys){ .off = 0 }), 0);
        assert_int_equal(smp_upload_chunk_size(0, &(struct smp_chunk_keys){ .off = 0 }), 0);
}

/* The message is never longer than the budget, and never shorter by more than a length head could explain. */
static void chunk_sizes_fill_every_budget(void **state) {
        (void) state;
        for (size_t budget = 100; budget < 3000; budget++) {
                struct smp_chunk_keys keys = { .off = 5000 };
                size_t n = smp_upload_chunk_size(budget, &keys), fixed = 8 + 1 + 4 + 3 + 5;

                assert_true(n > 0);
                assert_true(fixed + n + cbor_head_size(n) <= budget);
                assert_true(fixed + n + 1 + cbor_head_size(n + 1) > budget);
        }
}

/* ---- the worked upload of the protocol's document, byte for byte */

static struct testing_link script;
static struct smp_client *script_client;

static void script_begin(uint8_t first_seq) {
        struct smp_client_options options = { .first_seq = first_seq };

        testing_link_init(&script);
        assert_int_equal(smp_client_new(&host.host, &options, NULL, NULL, &script_client), 0);
        smp_client_attach(script_client, &script.link, false);
        testing_link_open(&script);
}

static void script_end(void) {
        smp_upload_free(upload);
        upload = NULL;
        smp_client_free(script_client);
        testing_link_deinit(&script);
}

static void vector_load(void) {
        FILE *file = fopen(GW_SOURCE_DIR "/tests/data/mcuboot/vector-ed25519.bin", "rb");
        static const char digest[] = "4ccc1fabea4de9f950f25c471343c240b482288728573b0db1a27d6145f88f12";

        assert_non_null(file);
        assert_int_equal(fread(image, 1, 253, file), 252);
        fclose(file);
        assert_int_equal(testing_hex(digest, sha, sizeof sha), 32);
}

#define FIRST                                                                                                                              \
        "0a00007800010101a4636f666600636c656e18fc6373686158204ccc1fabea4de9f950f25c471343c240b482288728573b0db1a27d6145f88f12"             \
        "6464617461583f3db8f3960000000020000c004000000000000000010203000400000000000000000102030405060708090a0b0c0d0e0f1011121314"         \
        "15161718191a1b1c1d1e"
#define SECOND                                                                                                                             \
        "0a00007800010201a2636f6666183f6464617461586a1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f08690c00"           \
        "50000400070000000769900010002000a3e23335aa1c7923929b6ae6cf974b9121001e88e37c022743a6815fa05afee901002000a050837d850705"           \
        "82ccf7394b0988847cc3"
#define THIRD                                                                                                                              \
        "0a00006100010301a2636f666618a96464617461585312cb88259b894899f6f239cf1791a52400400021b419098b1bde0e5c7d9831415be83859cb05"         \
        "48cfe7429352dc1dbbc23399eed2a19c30198819cbc61bd0035ac2bcf70c69bbab65d30775dfe49f1cfa2f6904"

static void worked_upload(const char *first_answer) {
        struct smp_upload_options options;
        struct gw_error err;

        vector_load();
        options = options_of(252, 128, 4);
        script_begin(1);
        n_done = 0;
        assert_int_equal(smp_upload_start(script_client, &options, on_done, NULL, &upload, &err), 0);
        assert_int_equal(script.n_sent, 1);
        assert_true(testing_link_sent_is(&script, 0, FIRST));
        testing_link_receive_hex(&script, first_answer);
        assert_int_equal(script.n_sent, 3);
        assert_true(testing_link_sent_is(&script, 1, SECOND));
        assert_true(testing_link_sent_is(&script, 2, THIRD));
        testing_link_receive_hex(&script, "0b00000800010201bf636f666618a9ff");
        assert_int_equal(n_done, 0);
        testing_link_receive_hex(&script, "0b00000f00010301bf636f666618fc656d61746368f5ff");
        assert_int_equal(n_done, 1);
        assert_int_equal(result, 0);
        assert_true(report.matched);
        assert_false(report.already);
        assert_int_equal(report.chunks, 3);
        assert_int_equal(report.repeats, 0);
        script_end();
}

static void worked_upload_version_2(void **state) {
        (void) state;
        worked_upload("0b00000800010101bf636f6666183fff");
}

static void worked_upload_legacy_answer(void **state) {
        (void) state;
        worked_upload("0300000c00010101bf62726300636f6666183fff");
}

static void first_packet_with_image_and_upgrade(void **state) {
        struct smp_upload_options options;
        struct gw_error err;

        (void) state;
        vector_load();
        options = options_of(252, 500, 1);
        options.size = 40;
        image_size = 40;
        options.image = 1;
        options.upgrade = true;
        options.sha = NULL;
        script_begin(9);
        assert_int_equal(smp_upload_start(script_client, &options, on_done, NULL, &upload, &err), 0);
        assert_true(testing_link_sent_is(&script, 0,
                                         "0a00004b00010901a5636f666600636c656e182865696d616765016775706772616465f564646174615828"
                                         "3db8f3960000000020000c0040000000000000000102030004000000000000000001020304050607"));
        script_end();
}

/* One answer script a row: what the device says to the first packet, and how it ends. */
static void answers_to_the_first_packet(void **state) {
        static const struct {
                const char *hex;
                int result;
                const char *name;
        } cases[] = {
                { "0b00001300010101bf63657272bf6567726f75700162726317ffff", -EREMOTEIO, "smp-refused" },
                { "0300000500010101a162726306", -EREMOTEIO, "smp-refused" },
                { "0b00000100010101a0", -EPROTO, "smp-bad-answer" },
                { "0b00000800010101a1636f666618ff", 1, "" },                        /* cut short by one byte: dropped, still waiting */
                { "0b00000700010101a1636f666618ff", -EPROTO, "smp-upload-offset" }, /* 255 of 252 */
                { "0b00000700010101a1636f666618fc", 0, "" },                        /* there already */
                { "0b00000e00010101a2636f666618fc656d61746368f4", -EBADMSG, "smp-upload-mismatch" },
                { "0b00000600010101a1636f666620", -EPROTO, "smp-bad-answer" }, /* a negative offset */
                { "0b00000700010201a1636f666618fc", 1, "" },                   /* another sequence number */
                { "0b00000700010100a1636f666618fc", 1, "" },                   /* another command */
                { "0900000700010101a1636f666618fc", 1, "" },                   /* another op */
        };

        (void) state;
        vector_load();
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                struct smp_upload_options options = options_of(252, 128, 4);
                struct gw_error err;

                script_begin(1);
                n_done = 0;
                result = 1;
                memset(&report, 0, sizeof report);
                assert_int_equal(smp_upload_start(script_client, &options, on_done, NULL, &upload, &err), 0);
                testing_link_receive_hex(&script, cases[i].hex);
                if (result != cases[i].result)
                        print_error("case %zu: %d\n", i, result);
                assert_int_equal(result, cases[i].result);
                assert_string_equal(report.error.name, cases[i].name);
                script_end();
        }
}

static void refusal_keeps_its_code(void **state) {
        struct smp_upload_options options = options_of(252, 128, 4);
        struct gw_error err;

        (void) state;
        script_begin(1);
        n_done = 0;
        assert_int_equal(smp_upload_start(script_client, &options, on_done, NULL, &upload, &err), 0);
        testing_link_receive_hex(&script, "0300001800010101a2627263016372736e6e6d61676963206d69736d61746368");
        assert_int_equal(result, -EREMOTEIO);
        assert_int_equal(report.status.code, 1);
        assert_string_equal(report.status.rsn, "magic mismatch");
        assert_non_null(strstr(report.error.text, "EUNKNOWN (rc 1): magic mismatch"));
        script_end();
}

/* ---- against the device */

static void plain_upload(void **state) {
        struct smp_upload_options options = options_of(100000, 384, 3);

        (void) state;
        device.latency_ms = 5;
        device.buf_count = 4;
        device.has_match = true;
        device.erase_ms = 9000;
        device.work_ms = 2;
        start(&options);
        run();
        assert_stored(100000);
        assert_true(report.matched);
        assert_int_equal(device.n_refused_buffer, 0);
        assert_true(device.max_busy <= 3);
        assert_true(report.window == 3);
        assert_true(n_progress > 2 && n_progress < 40);
}

static void one_byte_and_one_packet(void **state) {
        struct smp_upload_options options = options_of(33, 384, 3);

        (void) state;
        start(&options);
        run();
        assert_stored(33);
        assert_int_equal(report.chunks, 1);
        options = options_of(1, 384, 3);
        start(&options);
        run();
        assert_stored(1);
}

/* A link of 20 ms each way carries window / round trip; 90 % of that must be reached. */
static void window_fills_the_link(void **state) {
        (void) state;
        for (uint32_t window = 1; window <= 16; window *= 2) {
                struct smp_upload_options options = options_of(200000, 1000, window);
                int64_t took_ms, ideal_ms;
                size_t chunk = 975;

                device.latency_ms = 20;
                device.work_ms = 1;
                sha[0]++;
                start(&options);
                took_ms = run();
                assert_stored(200000);
                ideal_ms = (int64_t) (200000 / chunk) * 41 / window;
                if (took_ms * 9 > ideal_ms * 10)
                        print_error("window %u: %lld ms, ideal %lld\n", window, (long long) took_ms, (long long) ideal_ms);
                assert_true(took_ms * 9 <= (ideal_ms + 45) * 10);
                assert_int_equal(report.repeats, 0);
        }
}

/* A slow line is never idle: >= 95 % of it. */
static void serial_line_is_kept_busy(void **state) {
        static const uint64_t speeds[] = { 11520, 100000 };

        (void) state;
        for (size_t i = 0; i < 2; i++) {
                struct smp_upload_options options = options_of(200000, 380, 2);
                int64_t took_ms, ideal_ms;

                device.bytes_per_s = speeds[i];
                device.framing = 140; /* as base64 and lines cost */
                device.latency_ms = 0;
                device.work_ms = 1;
                device.buf_count = 4;
                sha[0]++;
                start(&options);
                took_ms = run();
                assert_stored(200000);
                ideal_ms = (int64_t) (200000 / 354 * (380 + 140) * 1000 / speeds[i]);
                assert_true(took_ms * 95 <= ideal_ms * 100);
                assert_int_equal(report.repeats, 0);
        }
}

static void losses_of_all_kinds(void **state) {
        (void) state;
        for (unsigned course = 1; course <= 60; course++) {
                struct smp_upload_options options = options_of(60000, 500, 1 + course % 9);

                device.random = course * 7919;
                device.latency_ms = 1 + course % 30;
                device.lose_request_permille = 20 + course % 80;
                device.lose_answer_permille = 20 + (course * 13) % 80;
                device.work_ms = course % 3;
                device.buf_count = course % 2 ? 10 : 0;
                device.has_match = course % 4 == 0;
                sha[0]++;
                start(&options);
                run();
                if (report.unproven) /* the last answer was lost; the image is there all the same */
                        assert_true(report.repeats > 0);
                assert_stored(60000);
                assert_true(report.repeats > 0);
        }
}

/* One lost request in a window of 8 costs one going back, not 7. */
static unsigned n_to_lose;
static int lose_request_at(struct testing_device *lossy, const uint8_t *data, size_t size) {
        (void) data;
        (void) size;
        return lossy->n_answers >= 20 && n_to_lose > 0 && n_to_lose-- ? -1 : 0;
}

static int lose_answer_at(struct testing_device *lossy, const uint8_t *data, size_t size) {
        (void) data;
        (void) size;
        return lossy->n_answers >= 20 && n_to_lose > 0 && n_to_lose-- ? -1 : 0;
}

static void one_loss_one_going_back(void **state) {
        struct smp_upload_options options = options_of(100000, 500, 8);
        int64_t clean_ms, lossy_ms;

        (void) state;
        device.latency_ms = 10;
        start(&options);
        clean_ms = run();
        sha[0]++;
        n_to_lose = 1;
        device.n_answers = 0;
        device.judge_request = lose_request_at;
        start(&options);
        lossy_ms = run();
        assert_stored(100000);
        assert_true(report.repeats <= 8);
        assert_true(lossy_ms - clean_ms <= 50);
}

static void lost_answer_costs_nothing(void **state) {
        struct smp_upload_options options = options_of(100000, 500, 8);

        (void) state;
        device.latency_ms = 10;
        n_to_lose = 1;
        device.judge_answer = lose_answer_at;
        start(&options);
        run();
        assert_stored(100000);
        assert_int_equal(report.repeats, 0);
}

/* Window 1 on a fast link: the silence that tells of the loss is short. */
static void loss_at_window_one_is_cheap(void **state) {
        struct smp_upload_options options = options_of(100000, 500, 1);
        int64_t clean_ms, lossy_ms;

        (void) state;
        device.latency_ms = 1;
        start(&options);
        clean_ms = run();
        sha[0]++;
        n_to_lose = 1;
        device.n_answers = 0;
        device.judge_request = lose_request_at;
        start(&options);
        lossy_ms = run();
        assert_stored(100000);
        assert_int_equal(report.repeats, 1);
        assert_true(lossy_ms - clean_ms <= 100);
}

/* The device pauses longer than its round trip promised; nothing was lost. At most a probe goes twice, and the guess is mended. */
static int64_t pause_at_answers;
static int pause_device(struct testing_device *slow, const uint8_t *data, size_t size) {
        (void) data;
        (void) size;
        if (slow->n_answers == (uint64_t) pause_at_answers) {
                slow->busy_until_ms = slow->host->now_ms + 700;
                pause_at_answers += 40;
        }
        return 0;
}

static void pauses_are_no_losses(void **state) {
        struct smp_upload_options options = options_of(100000, 500, 4);

        (void) state;
        device.latency_ms = 2;
        device.work_ms = 1;
        pause_at_answers = 20;
        device.judge_answer = pause_device;
        start(&options);
        run();
        assert_stored(100000);
        assert_true(report.repeats <= 8);
}

static void window_narrows_when_buffers_are_short(void **state) {
        struct smp_upload_options options = options_of(100000, 500, 12);

        (void) state;
        device.latency_ms = 5;
        device.work_ms = 2;
        device.buf_count = 4;
        start(&options);
        run();
        assert_stored(100000);
        assert_true(report.window <= 5);
        assert_true(device.n_refused_buffer < 60);
}

/* As above, but the device drops without a word what it cannot take. Then the buffers come back, and the window with them. */
static void window_narrows_when_chunks_are_dropped(void **state) {
        struct smp_upload_options options = options_of(400000, 500, 8);
        uint64_t confirmed;

        (void) state;
        device.latency_ms = 5;
        device.work_ms = 2;
        device.buf_count = 4;
        device.drops_silently = true;
        start(&options);
        testing_host_advance(&host, 1000);
        confirmed = smp_upload_confirmed(upload);
        assert_true(device.n_refused_buffer < 100);
        device.buf_count = 0;
        run();
        assert_stored(400000);
        assert_true(confirmed > 120000); /* at least half of what the device can take */
        assert_true(report.window > 4);
        assert_true(report.repeats < 300);
}

static void device_without_a_second_buffer(void **state) {
        struct smp_upload_options options = options_of(50000, 500, 4);

        (void) state;
        device.latency_ms = 5;
        device.work_ms = 1;
        device.buf_count = 2;
        start(&options);
        run();
        assert_stored(50000);
        assert_int_equal(report.window, 1);
}

static void device_without_any_buffer_is_named(void **state) {
        struct smp_upload_options options = options_of(50000, 500, 4);

        (void) state;
        device.buf_count = 1;
        start(&options);
        run();
        assert_int_equal(result, -EREMOTEIO);
        assert_string_equal(report.error.name, "smp-out-of-memory");
        assert_true(smp_status_is_rc(&report.status, SMP_RC_NO_MEMORY));
}

static void tails_that_do_not_fill_a_block(void **state) {
        static const uint32_t blocks[] = { 4, 8, 16, 32 };

        (void) state;
        for (size_t i = 0; i < 4; i++) {
                struct smp_upload_options options = options_of(50001, 501, 4);

                device.latency_ms = 5;
                device.write_block = blocks[i];
                sha[0]++;
                start(&options);
                run();
                assert_stored(50001);
                assert_true(report.repeats <= 8);
        }
}

static void resumes_after_the_link_was_lost(void **state) {
        struct smp_upload_options options = options_of(100000, 500, 4);
        uint64_t before;

        (void) state;
        device.latency_ms = 5;
        device.has_match = true;
        start(&options);
        testing_host_advance(&host, 300);
        before = smp_upload_confirmed(upload);
        assert_true(before > 5000 && before < 99000);
        testing_link_lose(&device.link);
        assert_int_equal(n_done, 1);
        assert_int_equal(result, -ENOTCONN);
        assert_string_equal(report.error.name, "link-lost");

        smp_client_detach(client);
        testing_host_advance(&host, 1000);
        device.link.send_result = 0;
        smp_client_attach(client, &device.link.link, false);
        testing_link_open(&device.link);
        start(&options);
        run();
        assert_stored(100000);
        assert_true(report.resumed_at >= before);
        assert_true(report.matched);
        assert_int_equal(device.n_erases, 1);
}

static void stops_at_a_chunk_and_resumes(void **state) {
        struct smp_upload_options options = options_of(100000, 500, 4);
        uint64_t stopped_at;
        int64_t begin_ms;

        (void) state;
        device.latency_ms = 5;
        start(&options);
        testing_host_advance(&host, 300);
        begin_ms = host.now_ms;
        smp_upload_stop(upload);
        smp_upload_stop(upload);
        assert_int_equal(n_done, 0);
        run();
        assert_int_equal(result, -ECANCELED);
        assert_true(host.now_ms - begin_ms <= 20);
        assert_string_equal(report.error.name, "");
        stopped_at = report.confirmed;
        start(&options);
        run();
        assert_stored(100000);
        assert_int_equal(report.resumed_at, stopped_at);
}

static void stops_soon_though_the_device_is_silent(void **state) {
        struct smp_upload_options options = options_of(100000, 500, 4);
        int64_t begin_ms;

        (void) state;
        device.erase_ms = 30000;
        start(&options);
        testing_host_advance(&host, 300);
        begin_ms = host.now_ms;
        smp_upload_stop(upload);
        run();
        assert_int_equal(result, -ECANCELED);
        assert_true(host.now_ms - begin_ms <= SMP_STOP_GRACE_MS);
}

static int lose_all(struct testing_device *lossy, const uint8_t *data, size_t size) {
        (void) lossy;
        (void) data;
        (void) size;
        return -1;
}

static void silence_in_the_middle(void **state) {
        struct smp_upload_options options = options_of(100000, 500, 4);
        int64_t took_ms;

        (void) state;
        device.latency_ms = 5;
        start(&options);
        testing_host_advance(&host, 300);
        device.judge_request = lose_all;
        took_ms = run();
        assert_int_equal(result, -ETIMEDOUT);
        assert_string_equal(report.error.name, "smp-no-answer");
        assert_in_range(took_ms, 12000, 17000);
        assert_true(report.repeats >= 5 && report.repeats < 20);
}

static void silence_from_the_start(void **state) {
        struct smp_upload_options options = options_of(100000, 500, 4);
        int64_t took_ms;

        (void) state;
        device.judge_request = lose_all;
        start(&options);
        took_ms = run();
        assert_int_equal(result, -ETIMEDOUT);
        assert_string_equal(report.error.name, "smp-no-answer");
        assert_in_range(took_ms, 90000, 96000);
}

static void long_messages_do_not_arrive(void **state) {
        struct smp_upload_options options = options_of(100000, 1400, 4);

        (void) state;
        device.message_max = 300;
        device.latency_ms = 5;
        start(&options);
        run();
        assert_stored(100000);
        assert_int_equal(report.message_size, 244);

        /* Not even the short ones: but the device does answer a short question. */
        device.message_max = 100;
        sha[0]++;
        start(&options);
        run();
        assert_int_equal(result, -ETIMEDOUT);
        assert_string_equal(report.error.name, "smp-no-reassembly");
}

static void long_messages_are_refused(void **state) {
        struct smp_upload_options options = options_of(100000, 1400, 4);

        (void) state;
        device.corrupt_above = 300;
        device.latency_ms = 5;
        start(&options);
        assert_true(run() < 10000);
        assert_stored(100000);
        assert_int_equal(report.message_size, 244);

        device.corrupt_above = 200;
        sha[0]++;
        start(&options);
        run();
        assert_int_equal(result, -EREMOTEIO);
        assert_string_equal(report.error.name, "smp-message-too-long");
}

/* The erase takes longer than the schedule of the first packet: its repeats do no harm, the full message size is kept. */
static void slow_erase_is_not_silence(void **state) {
        struct smp_upload_options options = options_of(100000, 1000, 4);

        (void) state;
        device.erase_ms = 35000;
        device.latency_ms = 5;
        start(&options);
        run();
        assert_stored(100000);
        assert_int_equal(device.n_erases, 1);
        assert_int_equal(report.message_size, 1000);
}

/* An erase that outlasts the first packet's whole schedule: whoever answers nothing at all may be erasing. */
static void very_slow_erase_is_not_silence(void **state) {
        (void) state;
        for (int recovery = 0; recovery < 2; recovery++) {
                struct smp_upload_options options = options_of(50000, 1000, 1);

                options.recovery = recovery;
                device.no_resume = recovery;
                device.buf_count = recovery ? 2 : 4;
                device.drops_silently = true;
                device.erase_ms = 75000;
                device.latency_ms = 5;
                sha[0]++;
                start(&options);
                assert_in_range(run(), 75000, 80000);
                assert_stored(50000);
                assert_int_equal(device.n_erases, recovery + 1);
                assert_int_equal(report.message_size, 1000);
        }
}

static int lose_first_answer(struct testing_device *lossy, const uint8_t *data, size_t size) {
        (void) data;
        (void) size;
        return lossy->n_answers == 1 ? -1 : 0;
}

static int lose_first_request(struct testing_device *lossy, const uint8_t *data, size_t size) {
        (void) lossy;
        (void) data;
        return size > 100 && n_sent++ == 0 ? -1 : 0;
}

/* A bootloader that erases anew with every first packet gets a second one only when it answers something else meanwhile. */
static void recovery_gets_a_lost_first_packet_again(void **state) {
        struct smp_upload_options options = options_of(50000, 1000, 1);

        (void) state;
        options.recovery = true;
        device.no_resume = true;
        device.erase_ms = 30000;
        device.judge_request = lose_first_request;
        n_sent = 0;
        start(&options);
        run();
        assert_stored(50000);
        assert_int_equal(device.n_erases, 1);
}

/* The erase took long and then its answer was lost: the device can be asked again where it is. */
static void answer_after_the_erase_is_lost(void **state) {
        struct smp_upload_options options = options_of(50000, 1000, 4);

        (void) state;
        device.erase_ms = 60000;
        device.buf_count = 2;
        device.drops_silently = true;
        device.judge_answer = lose_first_answer;
        start(&options);
        run();
        assert_stored(50000);
        assert_int_equal(device.n_erases, 1);
}

static void device_resets_in_mid_upload(void **state) {
        struct smp_upload_options options = options_of(100000, 500, 4);

        (void) state;
        device.latency_ms = 5;
        start(&options);
        testing_host_advance(&host, 300);
        testing_device_reset(&device);
        run();
        assert_stored(100000);
        assert_int_equal(device.n_erases, 2);
}

static int forget_always(struct testing_device *forgetful, const uint8_t *data, size_t size) {
        (void) data;
        (void) size;
        if (forgetful->off > 20000)
                testing_device_reset(forgetful);
        return 0;
}

static void device_that_always_forgets_is_given_up(void **state) {
        struct smp_upload_options options = options_of(100000, 500, 4);

        (void) state;
        device.judge_request = forget_always;
        start(&options);
        run();
        assert_int_equal(result, -ESTALE);
        assert_string_equal(report.error.name, "smp-upload-stalled");
        assert_int_equal(device.n_erases, 1 + SMP_RESTARTS_MAX);
}

static int lose_final_answer(struct testing_device *lossy, const uint8_t *data, size_t size) {
        (void) data;
        (void) size;
        if (!lossy->finished || n_to_lose == 0)
                return 0;
        n_to_lose--;
        return -1;
}

static void last_answer_lost_is_unproven(void **state) {
        (void) state;
        for (uint32_t window = 1; window <= 4; window += 3) {
                struct smp_upload_options options = options_of(100000, 500, window);

                device.latency_ms = 5;
                n_to_lose = 1;
                device.judge_answer = lose_final_answer;
                sha[0]++;
                start(&options);
                run();
                assert_stored(100000);
                assert_true(report.unproven);
        }
        assert_int_equal(device.n_erases, 2);
}

static void comparison_fails(void **state) {
        struct smp_upload_options options = options_of(5000, 500, 4);

        (void) state;
        device.has_match = device.wrong_match = true;
        start(&options);
        run();
        assert_int_equal(result, -EBADMSG);
        assert_string_equal(report.error.name, "smp-upload-mismatch");
}

static void recovery_gets_no_sha_and_no_window(void **state) {
        struct smp_upload_options options = options_of(50000, 1020, 4);

        (void) state;
        options.recovery = true;
        device.no_resume = true;
        device.buf_count = 2;
        device.write_block = 4;
        device.erase_ms = 15000;
        device.latency_ms = 2;
        start(&options);
        run();
        assert_stored(50000);
        assert_int_equal(device.n_erases, 1);
        assert_int_equal(device.n_refused_buffer, 0);
        assert_int_equal(device.max_busy, 1);
}

static void version_1_server(void **state) {
        struct smp_upload_options options = options_of(50000, 500, 4);

        (void) state;
        device.version_1_only = true;
        start(&options);
        run();
        assert_stored(50000);
        assert_int_equal(smp_client_version(client), SMP_VERSION_1);
}

/* The link takes a few datagrams at a time. */
static void full_link_is_waited_for(void **state) {
        struct smp_upload_options options = options_of(30000, 500, 8);

        (void) state;
        device.latency_ms = 3;
        device.link.n_room = 0;
        start(&options);
        for (unsigned n = 0; n_done == 0; n++) {
                assert_true(n < 10000);
                device.link.n_room = 2;
                testing_link_writable(&device.link);
                testing_host_advance(&host, 10);
        }
        assert_stored(30000);
        assert_int_equal(report.repeats, 0);
        device.link.n_room = SIZE_MAX;
}

static void full_link_that_closes(void **state) {
        struct smp_upload_options options = options_of(30000, 500, 8);

        (void) state;
        device.link.n_room = 0;
        start(&options);
        testing_host_advance(&host, 100);
        testing_link_lose(&device.link);
        assert_int_equal(n_done, 1);
        assert_int_equal(result, -ENOTCONN);
}

static int read_fails(void *ctx, uint64_t offset, void *buffer, size_t size) {
        if (offset > 10000)
                return -EIO;
        return read_image(ctx, offset, buffer, size);
}

static void unreadable_image(void **state) {
        struct smp_upload_options options = options_of(30000, 500, 8);

        (void) state;
        options.read = read_fails;
        start(&options);
        run();
        assert_int_equal(result, -EIO);
        assert_string_equal(report.error.name, "file-unreadable");
}

static void freed_from_inside(void **state) {
        struct smp_upload_options options = options_of(100000, 500, 8);

        (void) state;
        device.latency_ms = 50;
        free_in_progress = true;
        start(&options);
        while (upload)
                assert_true(testing_host_step(&host));
        testing_host_advance(&host, 10000);
        assert_int_equal(n_done, 0);
}

static void options_that_cannot_work(void **state) {
        struct smp_upload_options options = options_of(100000, 90, 1);
        struct gw_error err = { 0 };

        (void) state;
        assert_int_equal(smp_upload_start(client, &options, on_done, NULL, &upload, &err), -EMSGSIZE);
        assert_string_equal(err.name, "smp-message-too-long");
        options.sha = NULL; /* without it there is room for the image header */
        start(&options);
        run();
        assert_stored(100000);
        options = options_of(0, 500, 1);
        assert_int_equal(smp_upload_start(client, &options, on_done, NULL, &upload, NULL), -EINVAL);
}

/* A stream of answers does not touch the host's timers. */
static void stream_costs_no_timers(void **state) {
        struct smp_upload_options options = options_of(1000000, 500, 8);
        uint64_t n_started;

        (void) state;
        device.latency_ms = 2;
        start(&options);
        n_started = host.n_started;
        run();
        assert_stored(1000000);
        /* Two for each chunk are the device's own: a request and an answer that travel, and its work. */
        n_started = host.n_started - n_started - 3 * report.chunks;
        assert_true(n_started < 200);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(chunk_sizes_of_the_table),
                TEST(chunk_sizes_fill_every_budget),
                TEST(worked_upload_version_2),
                TEST(worked_upload_legacy_answer),
                TEST(first_packet_with_image_and_upgrade),
                TEST(answers_to_the_first_packet),
                TEST(refusal_keeps_its_code),
                TEST(plain_upload),
                TEST(one_byte_and_one_packet),
                TEST(window_fills_the_link),
                TEST(serial_line_is_kept_busy),
                TEST(losses_of_all_kinds),
                TEST(one_loss_one_going_back),
                TEST(lost_answer_costs_nothing),
                TEST(loss_at_window_one_is_cheap),
                TEST(pauses_are_no_losses),
                TEST(window_narrows_when_buffers_are_short),
                TEST(window_narrows_when_chunks_are_dropped),
                TEST(device_without_a_second_buffer),
                TEST(device_without_any_buffer_is_named),
                TEST(tails_that_do_not_fill_a_block),
                TEST(resumes_after_the_link_was_lost),
                TEST(stops_at_a_chunk_and_resumes),
                TEST(stops_soon_though_the_device_is_silent),
                TEST(silence_in_the_middle),
                TEST(silence_from_the_start),
                TEST(long_messages_do_not_arrive),
                TEST(long_messages_are_refused),
                TEST(slow_erase_is_not_silence),
                TEST(very_slow_erase_is_not_silence),
                TEST(recovery_gets_a_lost_first_packet_again),
                TEST(answer_after_the_erase_is_lost),
                TEST(device_resets_in_mid_upload),
                TEST(device_that_always_forgets_is_given_up),
                TEST(last_answer_lost_is_unproven),
                TEST(comparison_fails),
                TEST(recovery_gets_no_sha_and_no_window),
                TEST(version_1_server),
                TEST(full_link_is_waited_for),
                TEST(full_link_that_closes),
                TEST(unreadable_image),
                TEST(freed_from_inside),
                TEST(options_that_cannot_work),
                TEST(stream_costs_no_timers),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
