/* SPDX-License-Identifier: Apache-2.0 */
#include "common/smp/probe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "common/smp/smp_testing.h"

static struct testing_host host;
static struct testing_link peer;
static struct smp_client *client;
static struct smp_probe *probe;
static struct smp_probe_result result;
static unsigned n_done;
static int done_result;
static char done_name[48];

static void on_done(void *ctx, int r, const struct gw_error *err) {
        assert_ptr_equal(ctx, &host);
        n_done++;
        done_result = r;
        snprintf(done_name, sizeof done_name, "%s", err ? err->name : "");
        smp_probe_free(probe);
        probe = NULL;
}

static int setup(void **state) {
        struct smp_client_options options = { .first_seq = 1 };

        (void) state;
        n_done = 0;
        result = (struct smp_probe_result) SMP_PROBE_RESULT_INIT;
        testing_host_init(&host);
        testing_link_init(&peer);
        assert_int_equal(smp_client_new(&host.host, &options, NULL, NULL, &client), 0);
        smp_client_attach(client, &peer.link, true);
        return 0;
}

static int teardown(void **state) {
        (void) state;
        smp_probe_free(probe);
        probe = NULL;
        smp_client_free(client);
        assert_null(host.timers);
        testing_link_deinit(&peer);
        testing_host_deinit(&host);
        return 0;
}

static void start(uint32_t items) {
        unsigned n_before = n_done;

        assert_int_equal(smp_probe_start(client, items, &result, on_done, &host, &probe), 0);
        assert_int_equal(n_done, n_before);
}

/* Answers the last request with this payload, whatever it was. */
static void answer(const char *payload_hex) {
        uint8_t message[512];
        int size = testing_hex(payload_hex, message + SMP_HEADER_SIZE, sizeof message - SMP_HEADER_SIZE);

        assert_true(size >= 0);
        memcpy(message, peer.sent[peer.n_sent - 1].data, SMP_HEADER_SIZE);
        message[0]++;
        message[2] = 0;
        message[3] = (uint8_t) size;
        testing_link_receive(&peer, message, SMP_HEADER_SIZE + (size_t) size);
}

#define RC_8 "bf62726308ff"

#define MEMFAULT_ANSWER                                                                                                                    \
        "bf6d6465766963655f73657269616c6644454d4f30317068617264776172655f76657273696f6e62646b6d736f6674776172655f74797065636170706f"       \
        "63757272656e745f76657273696f6e65312e302e30ff"

static void everything_is_offered(void **state) {
        static const char *const questions[] = {
                "0800000100000106a0",
                "0800000100000208a0",
                "0800000c00000308a1657175657279646d6f6465",
                "0800000a00000407a166666f726d61746169",
                "0800000a00000507a166666f726d61746161",
                "0800000100010606a0",
                "0800000100800700a0",
                "0a00000c00000800a16164686761746577617964",
        };
        static const char *const answers[] = {
                "a2686275665f73697a651909ab696275665f636f756e7404",
                "bf6a626f6f746c6f61646572674d4355626f6f74ff",
                "bf646d6f6465036c6e6f2d646f776e6772616465f5ff",
                "a1666f75747075746d6e726635323430646b5f787879",
                "a1666f7574707574665a6570687972",
                "a166696d6167657381a265696d6167650065736c6f747381a264736c6f74006473697a651a0007c000",
                MEMFAULT_ANSWER,
                "a16172686761746577617964",
        };

        (void) state;
        start(SMP_PROBE_ALL);
        for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++) {
                assert_int_equal(peer.n_sent, i + 1);
                assert_true(testing_link_sent_is(&peer, i, questions[i]));
                assert_int_equal(n_done, 0);
                answer(answers[i]);
        }
        assert_int_equal(n_done, 1);
        assert_int_equal(done_result, 0);
        assert_int_equal(result.asked, SMP_PROBE_ALL);
        assert_int_equal(result.offered, SMP_PROBE_ALL);
        assert_int_equal(result.buf_size, 2475);
        assert_int_equal(result.buf_count, 4);
        assert_string_equal(result.bootloader, "MCUboot");
        assert_int_equal(result.mode, SMP_BOOT_SWAP_MOVE);
        assert_true(result.no_downgrade);
        assert_string_equal(result.board, "nrf5240dk_xxy");
        assert_string_equal(result.os_info, "Zephyr");
        assert_int_equal(result.slot_info.n_slots, 1);
        assert_string_equal(result.memfault_serial, "DEMO01");
        assert_string_equal(result.memfault_hardware, "dk");
        assert_string_equal(result.memfault_software, "app");
        assert_string_equal(result.memfault_version, "1.0.0");
}

static void nothing_is_offered_and_asked_once(void **state) {
        (void) state;
        start(SMP_PROBE_ALL);
        while (n_done == 0)
                answer(RC_8);
        assert_int_equal(done_result, 0);
        assert_int_equal(result.offered, 0);
        assert_int_equal(result.asked, SMP_PROBE_ALL);
        assert_int_equal(result.mode, SMP_BOOT_UNKNOWN);
        assert_int_equal(peer.n_sent, 7); /* the mode of a bootloader without a name is not asked */
        /* Again: nothing is sent, and still `done` comes later. */
        start(SMP_PROBE_ALL);
        testing_host_advance(&host, 0);
        assert_int_equal(n_done, 2);
        assert_int_equal(peer.n_sent, 7);
}

static void odd_answers_are_no_offers(void **state) {
        (void) state;
        start(SMP_PROBE_PARAMS | SMP_PROBE_BOOTLOADER | SMP_PROBE_MODE | SMP_PROBE_BOARD);
        answer("a1686275665f73697a656178"); /* buf_size: "x" */
        answer("bf6a626f6f746c6f61646572674d4355626f6f74ff");
        answer("a1646d6f646520");                     /* mode -1 */
        answer("a163657272a26567726f75700062726302"); /* one unknown format letter */
        assert_int_equal(n_done, 1);
        assert_int_equal(done_result, 0);
        assert_int_equal(result.offered, SMP_PROBE_BOOTLOADER | SMP_PROBE_MODE);
        assert_int_equal(result.mode, -1);
        assert_int_equal(result.buf_size, 0);
}

static void silent_device(void **state) {
        (void) state;
        start(SMP_PROBE_UPDATE);
        testing_host_advance(&host, 3 * SMP_TIMEOUT_MS);
        assert_int_equal(n_done, 1);
        assert_int_equal(done_result, -ETIMEDOUT);
        assert_string_equal(done_name, "smp-no-answer");
        assert_int_equal(result.asked, 0);
        assert_int_equal(peer.n_sent, 3);
}

static void one_silent_command_is_not_offered(void **state) {
        (void) state;
        start(SMP_PROBE_PARAMS | SMP_PROBE_BOARD | SMP_PROBE_SLOT_INFO);
        answer(RC_8);
        testing_host_advance(&host, 3 * SMP_TIMEOUT_MS + 250);
        assert_int_equal(n_done, 0);
        answer(RC_8);
        assert_int_equal(n_done, 1);
        assert_int_equal(done_result, 0);
        assert_int_equal(result.asked, SMP_PROBE_PARAMS | SMP_PROBE_BOARD | SMP_PROBE_SLOT_INFO);
}

static void device_that_falls_silent(void **state) {
        (void) state;
        start(SMP_PROBE_ALL);
        answer(RC_8);
        testing_host_advance(&host, 100000);
        assert_int_equal(n_done, 1);
        assert_int_equal(done_result, -ETIMEDOUT);
        assert_int_equal(peer.n_sent, 1 + 4 + 4); /* one early resend each */
}

static void lost_and_canceled(void **state) {
        (void) state;
        start(SMP_PROBE_ALL);
        smp_probe_cancel(probe);
        assert_int_equal(n_done, 0);
        testing_host_advance(&host, 0);
        assert_int_equal(n_done, 1);
        assert_int_equal(done_result, -ECANCELED);
        start(SMP_PROBE_ALL);
        testing_link_lose(&peer);
        assert_int_equal(n_done, 2);
        assert_int_equal(done_result, -ENOTCONN);
        assert_string_equal(done_name, "link-lost");
        assert_int_equal(smp_probe_start(client, SMP_PROBE_ALL, &result, on_done, &host, &probe), -ENOTCONN);
}

static void canceled_with_nothing_to_ask(void **state) {
        (void) state;
        start(0);
        smp_probe_cancel(probe);
        testing_host_advance(&host, 0);
        assert_int_equal(n_done, 1);
        assert_int_equal(done_result, -ECANCELED);
}

static void freed_while_asking(void **state) {
        (void) state;
        start(SMP_PROBE_ALL);
        smp_probe_free(probe);
        start(0);
        smp_probe_free(probe);
        probe = NULL;
        answer(RC_8);
        testing_host_advance(&host, 100000);
        assert_int_equal(n_done, 0);
}

static void limits_of_links_and_devices(void **state) {
        static const struct {
                uint32_t buf_size, buf_count;
                size_t link_max, framing;
                uint32_t cap;
                size_t message_max, fallback;
                uint32_t window;
        } cases[] = {
                { 384, 4, SMP_MESSAGE_MAX, 4, 0, 380, 244, 3 },   /* serial as shipped */
                { 2048, 2, 1472, 0, 0, 1472, 244, 1 },            /* UDP as shipped */
                { 2475, 4, SMP_MESSAGE_MAX, 0, 0, 2475, 244, 3 }, /* BLE as shipped */
                { 0, 0, 1472, 0, 0, 384, 244, 1 },                /* nothing told */
                { 0, 0, SMP_MESSAGE_MAX, 4, 0, 380, 244, 1 },
                { 1024, 1, SMP_MESSAGE_MAX, 4, 0, 1020, 244, 1 }, /* serial recovery */
                { 128, 9, 1472, 0, 4, 128, 128, 4 },
                { 65535, 65535, SIZE_MAX, 0, 100, SMP_MESSAGE_MAX, 244, SMP_WINDOW_MAX },
                { 2, 3, 1472, 4, 0, 0, 0, 2 }, /* nonsense: no upload will start */
        };

        (void) state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                struct smp_probe_result told = { .buf_size = cases[i].buf_size, .buf_count = cases[i].buf_count };
                struct smp_limits limits;

                smp_limits_compute(&told, cases[i].link_max, cases[i].framing, cases[i].cap, &limits);
                assert_int_equal(limits.message_max, cases[i].message_max);
                assert_int_equal(limits.message_fallback, cases[i].fallback);
                assert_int_equal(limits.window, cases[i].window);
        }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(everything_is_offered),
                TEST(nothing_is_offered_and_asked_once),
                TEST(odd_answers_are_no_offers),
                TEST(silent_device),
                TEST(one_silent_command_is_not_offered),
                TEST(device_that_falls_silent),
                TEST(lost_and_canceled),
                TEST(canceled_with_nothing_to_ask),
                TEST(freed_while_asking),
                cmocka_unit_test(limits_of_links_and_devices),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
