/* SPDX-License-Identifier: Apache-2.0 */
#include "common/smp/image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "common/smp/smp_testing.h"

static struct testing_host host;
static struct testing_link peer;
static struct smp_client *client;
static unsigned n_done;
static int result;
static struct smp_status status;
static struct smp_image_state last_state;
static struct smp_slot_info last_info;
static bool has_state, has_info;

static void on_state(void *ctx, const struct smp_answer *answer, const struct smp_image_state *image_state) {
        assert_ptr_equal(ctx, &host);
        n_done++;
        result = answer->result;
        status = answer->status;
        has_state = image_state != NULL;
        if (image_state)
                last_state = *image_state;
}

static void on_info(void *ctx, const struct smp_answer *answer, const struct smp_slot_info *info) {
        (void) ctx;
        n_done++;
        result = answer->result;
        has_info = info != NULL;
        if (info)
                last_info = *info;
}

static void on_plain(void *ctx, const struct smp_answer *answer) {
        (void) ctx;
        n_done++;
        result = answer->result;
        status = answer->status;
}

static void begin(int first_seq) {
        struct smp_client_options options = { .first_seq = first_seq };

        n_done = 0;
        has_state = has_info = false;
        testing_host_init(&host);
        testing_link_init(&peer);
        assert_int_equal(smp_client_new(&host.host, &options, NULL, NULL, &client), 0);
        smp_client_attach(client, &peer.link, true);
}

static void end(void) {
        smp_client_free(client);
        testing_link_deinit(&peer);
        testing_host_deinit(&host);
}

/* ---- the worked messages */

static const uint8_t counting[32] = { 0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                                      16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31 };

#define AFTER_TEST                                                                                                                         \
        "0b0000f200010800a266696d6167657382a864736c6f74006776657273696f6e65312e322e3264686173685820000102030405060708090a0b0c0d0e"         \
        "0f101112131415161718191a1b1c1d1e1f68626f6f7461626c65f56770656e64696e67f469636f6e6669726d6564f566616374697665f5697065726d"         \
        "616e656e74f4a864736c6f74016776657273696f6e67312e322e332e3464686173685820a3e23335aa1c7923929b6ae6cf974b9121001e88e37c0227"         \
        "43a6815fa05afee968626f6f7461626c65f56770656e64696e67f569636f6e6669726d6564f466616374697665f4697065726d616e656e74f46b7370"         \
        "6c697453746174757300"

static void requests_as_worked(void **state) {
        const struct smp_image_choice test = { .hash = counting, .hash_size = 32 };
        const struct smp_image_choice confirm = { .hash = counting, .hash_size = 32, .confirm = true };
        const struct smp_image_choice running = { .confirm = true };
        const struct smp_reset_options plain = { .boot_mode = -1 }, force = { .force = true, .boot_mode = -1 }, loader = { .boot_mode = 1 };
        static const char *const expected[] = {
                "0800000100010700a0",
                "0a00003100010800a264686173685820000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f67636f6e6669726df4",
                "0a00003100010900a264686173685820000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f67636f6e6669726df5",
                "0a00000a00010a00a167636f6e6669726df5",
                "0a00000100010b05a0",
                "0a00000700010c05a164736c6f7401",
                "0800000100010d06a0",
                "0a00000100000e05a0",
                "0a00000800000f05a165666f726365f5",
                "0a00000c00001005a169626f6f745f6d6f646501",
                "0a00000900001100a161646568656c6c6f",
        };

        (void) state;
        begin(7);
        assert_int_equal(smp_image_read(client, on_state, &host, NULL), 0);
        assert_int_equal(smp_image_write(client, &test, on_state, &host, NULL), 0);
        assert_int_equal(smp_image_write(client, &confirm, on_state, &host, NULL), 0);
        assert_int_equal(smp_image_write(client, &running, on_state, &host, NULL), 0);
        assert_int_equal(smp_image_erase(client, -1, on_plain, &host, NULL), 0);
        assert_int_equal(smp_image_erase(client, 1, on_plain, &host, NULL), 0);
        assert_int_equal(smp_slot_info_read(client, on_info, &host, NULL), 0);
        assert_int_equal(smp_os_reset(client, &plain, on_plain, &host, NULL), 0);
        assert_int_equal(smp_os_reset(client, &force, on_plain, &host, NULL), 0);
        assert_int_equal(smp_os_reset(client, &loader, on_plain, &host, NULL), 0);
        assert_int_equal(smp_os_echo(client, "hello", on_plain, &host, NULL), 0);
        for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
                assert_true(testing_link_sent_is(&peer, i, expected[i]));
        end();
}

static void state_after_test(void **state) {
        const struct smp_image_choice test = { .hash = counting, .hash_size = 32 };
        const struct gw_image *image;

        (void) state;
        begin(8);
        assert_int_equal(smp_image_write(client, &test, on_state, &host, NULL), 0);
        testing_link_receive_hex(&peer, AFTER_TEST);
        assert_int_equal(n_done, 1);
        assert_int_equal(result, 0);
        assert_int_equal(last_state.n_images, 2);
        image = smp_image_find(&last_state, 0, 0);
        assert_non_null(image);
        assert_string_equal(image->version, "1.2.2");
        assert_int_equal(image->flags, GW_IMAGE_ACTIVE | GW_IMAGE_CONFIRMED | GW_IMAGE_BOOTABLE);
        assert_int_equal(image->hash_size, 32);
        assert_memory_equal(image->hash, counting, 32);
        image = smp_image_find(&last_state, 0, 1);
        assert_string_equal(image->version, "1.2.3.4");
        assert_int_equal(image->flags, GW_IMAGE_PENDING | GW_IMAGE_BOOTABLE);
        assert_ptr_equal(smp_image_find_hash(&last_state, 0, counting, 32), smp_image_find(&last_state, 0, 0));
        assert_null(smp_image_find_hash(&last_state, 1, counting, 32));
        assert_null(smp_image_find_hash(&last_state, 0, counting, 31));
        assert_null(smp_image_find_hash(&last_state, 0, counting, 0));
        assert_null(smp_image_find(&last_state, 1, 0));
        end();
}

/* Lists of odd shapes. */
static void state_lists(void **state) {
        static const struct {
                const char *map;
                int result;
                size_t n_images, n_left_out;
        } cases[] = {
                { "a166696d6167657380", 0, 0, 0 }, /* no readable slot */
                { "bf66696d616765739fffff", 0, 0, 0 },
                { "a0", -EBADMSG, 0, 0 },
                { "a166696d61676573a0", -EBADMSG, 0, 0 },
                { "a166696d6167657381a164736c6f7401", 0, 1, 0 },                   /* frugal: no flag, no hash */
                { "a166696d6167657381a265696d6167650164736c6f7400", 0, 1, 0 },     /* second image */
                { "a166696d6167657382a0a164736c6f7401", 0, 1, 1 },                 /* one without a slot */
                { "a166696d616765738305f6a164736c6f7401", 0, 1, 2 },               /* no maps */
                { "a166696d6167657381a265696d61676519010064736c6f7400", 0, 0, 1 }, /* image 256 */
                /* A hash of 65 bytes is left out, one of 64 is kept (checked below). */
                { "a166696d6167657381a264736c6f7400646861736858"
                  "41000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
                  "00000000000000000000000000",
                  0, 1, 0 },
        };

        (void) state;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                struct smp_image_state parsed;
                struct cbor_map map;
                uint8_t bytes[256];
                int size = testing_hex(cases[i].map, bytes, sizeof bytes);

                assert_true(size > 0);
                if (cbor_map_parse(&map, bytes, (size_t) size) < 0)
                        print_error("case %zu\n", i);
                assert_int_equal(cbor_map_parse(&map, bytes, (size_t) size), 0);
                assert_int_equal(smp_image_state_parse(&map, &parsed), cases[i].result);
                if (cases[i].result < 0)
                        continue;
                assert_int_equal(parsed.n_images, cases[i].n_images);
                assert_int_equal(parsed.n_left_out, cases[i].n_left_out);
                if (parsed.n_images > 0)
                        assert_int_equal(parsed.images[0].hash_size, 0);
        }
}

static void more_images_than_we_keep(void **state) {
        struct smp_image_state parsed;
        uint8_t bytes[1024];
        struct cbor_writer writer = CBOR_WRITER(bytes, sizeof bytes);
        struct cbor_map map;

        (void) state;
        cbor_write_map(&writer, 1);
        cbor_write_text(&writer, "images");
        cbor_write_array(&writer, GW_IMAGES_MAX + 3);
        for (unsigned i = 0; i < GW_IMAGES_MAX + 3; i++) {
                cbor_write_map(&writer, 2);
                cbor_write_text(&writer, "image");
                cbor_write_uint(&writer, i);
                cbor_write_text(&writer, "slot");
                cbor_write_uint(&writer, 0);
        }
        assert_int_equal(cbor_map_parse(&map, bytes, writer.size), 0);
        assert_int_equal(smp_image_state_parse(&map, &parsed), 0);
        assert_int_equal(parsed.n_images, GW_IMAGES_MAX);
        assert_int_equal(parsed.n_left_out, 3);
}

static void slot_info_as_worked(void **state) {
        (void) state;
        begin(12);
        assert_int_equal(smp_slot_info_read(client, on_info, &host, NULL), 0);
        testing_link_receive_hex(
                &peer, "0900007000010c06a166696d6167657381a365696d6167650065736c6f747382a364736c6f74006473697a651a0007c0006f75706c6f61645f"
                       "696d6167655f696401a364736c6f74016473697a651a0007b0006f75706c6f61645f696d6167655f6964026e6d61785f696d6167655f73697a"
                       "651a00079000");
        assert_int_equal(result, 0);
        assert_true(has_info);
        assert_int_equal(last_info.n_slots, 2);
        assert_int_equal(last_info.slots[0].size, 0x7c000);
        assert_int_equal(last_info.slots[1].slot, 1);
        assert_int_equal(last_info.slots[1].size, 0x7b000);
        assert_int_equal(last_info.slots[1].upload_image, 2);
        assert_int_equal(last_info.n_max_image_sizes, 1);
        assert_int_equal(last_info.max_image_size[0].bytes, 0x79000);
        end();
}

static void slot_that_could_not_be_opened(void **state) {
        (void) state;
        begin(12);
        assert_int_equal(smp_slot_info_read(client, on_info, &host, NULL), 0);
        /* {"images": [{"image": 1, "slots": [{"slot": 0, "rc": 5}]}]} */
        testing_link_receive_hex(&peer, "0900002400010c06a166696d6167657381a265696d6167650165736c6f747381a264736c6f74006272630500");
        assert_int_equal(last_info.n_slots, 1);
        assert_int_equal(last_info.slots[0].image, 1);
        assert_int_equal(last_info.slots[0].size, 0);
        assert_int_equal(last_info.slots[0].upload_image, -1);
        end();
}

/* ---- reset */

static void reset_is_sent_once(void **state) {
        (void) state;
        begin(1);
        assert_int_equal(smp_os_reset(client, NULL, on_plain, &host, NULL), 0);
        testing_host_advance(&host, 60000);
        assert_int_equal(n_done, 1);
        assert_int_equal(result, -ETIMEDOUT);
        assert_int_equal(peer.n_sent, 1);
        end();
}

static void choice_is_sent_once_on_request(void **state) {
        struct smp_image_choice choice = { .hash = counting, .hash_size = 32, .confirm = true };

        (void) state;
        for (int once = 0; once < 2; once++) {
                choice.once = once;
                begin(1);
                assert_int_equal(smp_image_write(client, &choice, on_state, &host, NULL), 0);
                testing_host_advance(&host, 60000);
                assert_int_equal(n_done, 1);
                assert_int_equal(result, -ETIMEDOUT);
                assert_int_equal(peer.n_sent, once ? 1 : 1 + SMP_RESENDS);
                end();
        }
}

static void reset_with_a_dropped_link_is_accepted(void **state) {
        (void) state;
        begin(1);
        assert_int_equal(smp_os_reset(client, NULL, on_plain, &host, NULL), 0);
        testing_link_lose(&peer);
        assert_int_equal(n_done, 1);
        assert_int_equal(result, 0);
        end();
        /* But not when it never left. */
        begin(1);
        peer.n_room = 0;
        assert_int_equal(smp_os_reset(client, NULL, on_plain, &host, NULL), 0);
        testing_link_lose(&peer);
        assert_int_equal(result, -ENOTCONN);
        end();
}

static void reset_refused(void **state) {
        (void) state;
        begin(1);
        assert_int_equal(smp_os_reset(client, NULL, on_plain, &host, NULL), 0);
        testing_link_receive_hex(&peer, "0300000500000105a16272630a");
        assert_int_equal(result, -EREMOTEIO);
        assert_true(smp_status_is_rc(&status, SMP_RC_BUSY));
        end();
}

/* ---- the recorded conversation with a real server */

static FILE *transcript;

/* The next request of the transcript and all its answers. */
static bool transcript_next(char *request, char *answer, size_t room) {
        static char line[8192];

        request[0] = answer[0] = '\0';
        while (fgets(line, sizeof line, transcript)) {
                line[strcspn(line, "\r\n")] = '\0';
                if (line[0] == '>')
                        snprintf(request, room, "%s", line + 2);
                else if (line[0] == '<')
                        snprintf(answer, room, "%s", line + 2);
                else if (line[0] == '\0' && request[0])
                        return true;
        }
        return request[0] != '\0';
}

/* Makes the call that the recorded request came from, by its group, command and payload. False: not one of ours. */
static bool call_by(const uint8_t *message, size_t size) {
        static uint8_t hash[32];
        struct smp_image_choice choice = { 0 };
        unsigned group = (unsigned) message[4] << 8 | message[5], command = message[7], op = message[0] & 7;

        if (group == SMP_GROUP_IMAGE && command == SMP_IMAGE_STATE && op == SMP_OP_READ)
                return smp_image_read(client, on_state, &host, NULL) == 0;
        if (group == SMP_GROUP_IMAGE && command == SMP_IMAGE_STATE) {
                choice.confirm = message[size - 1] == 0xf5;
                if (size > 40) {
                        memcpy(hash, message + SMP_HEADER_SIZE + 8, 32);
                        choice.hash = hash;
                        choice.hash_size = 32;
                }
                return smp_image_write(client, &choice, on_state, &host, NULL) == 0;
        }
        if (group == SMP_GROUP_IMAGE && command == SMP_IMAGE_ERASE)
                return smp_image_erase(client, -1, on_plain, &host, NULL) == 0;
        if (group == SMP_GROUP_IMAGE && command == SMP_IMAGE_SLOT_INFO)
                return smp_slot_info_read(client, on_info, &host, NULL) == 0;
        if (group == SMP_GROUP_OS && command == SMP_OS_ECHO)
                return smp_os_echo(client, message[11] == 0x65 ? "hello" : "bye", on_plain, &host, NULL) == 0;
        if (group == SMP_GROUP_OS && command == SMP_OS_RESET)
                return smp_os_reset(client, NULL, on_plain, &host, NULL) == 0;
        return false;
}

static unsigned replay(void) {
        static char request[8192], answer[8192];
        static uint8_t message[4096];
        unsigned n_calls = 0;

        while (transcript_next(request, answer, sizeof request)) {
                int size = testing_hex(request, message, sizeof message);

                assert_true(size >= SMP_HEADER_SIZE);
                if (message[0] < 8)
                        continue; /* the ones that were asked as version 1 */
                begin(message[6]);
                if (call_by(message, (size_t) size)) {
                        n_calls++;
                        assert_true(testing_link_sent_is(&peer, 0, request));
                        testing_link_receive_hex(&peer, answer);
                        assert_int_equal(n_done, 1);
                        assert_true(result == 0 || result == -EREMOTEIO);
                        if (result == 0 && message[5] == SMP_GROUP_IMAGE && message[7] == SMP_IMAGE_STATE)
                                assert_true(has_state && last_state.n_images >= 1 && last_state.images[0].hash_size == 32);
                }
                end();
        }
        return n_calls;
}

static void recorded_conversation(void **state) {
        (void) state;
        transcript = fopen(GW_SOURCE_DIR "/tests/data/smp/zephyr-udp-transcript.txt", "r");
        assert_non_null(transcript);
        assert_true(replay() >= 15);
        fclose(transcript);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(requests_as_worked),
                cmocka_unit_test(state_after_test),
                cmocka_unit_test(state_lists),
                cmocka_unit_test(more_images_than_we_keep),
                cmocka_unit_test(slot_info_as_worked),
                cmocka_unit_test(slot_that_could_not_be_opened),
                cmocka_unit_test(reset_is_sent_once),
                cmocka_unit_test(reset_with_a_dropped_link_is_accepted),
                cmocka_unit_test(reset_refused),
                cmocka_unit_test(recorded_conversation),
                cmocka_unit_test(choice_is_sent_once_on_request),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
