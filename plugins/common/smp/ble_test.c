/* SPDX-License-Identifier: Apache-2.0 */

/* SMP over one GATT characteristic: pieces, lost pieces, back-pressure, ways to open, ends at every moment. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/smp/ble.h"
#include "common/smp/frame.h"
#include "common/testing/scripted_gatt.h"

#define KEY "DE063B974CD8"
#define OTHER_KEY "DE063B974CD9"
#define SERIAL_SERVICE "0000180a-0000-1000-8000-00805f9b34fb"
#define SERIAL_NUMBER "00002a25-0000-1000-8000-00805f9b34fb"

/* ---- putting together */

#define PACKETS_MAX 6

struct packet {
        uint8_t from, to;  /* bytes of the message; both 0: time passes */
        uint8_t message;   /* which one */
};

static uint8_t messages[2][60];
static size_t n_whole, whole_sizes[8];
static uint8_t whole_seqs[8];

static void keep_whole(void *ctx, const uint8_t *data, size_t size) {
        (void) ctx;
        whole_seqs[n_whole] = data[6];
        whole_sizes[n_whole++] = size;
}

static void make_messages(void) {
        for (size_t i = 0; i < 2; i++) {
                const struct smp_header header = { .op = SMP_OP_WRITE_ANSWER, .version = SMP_VERSION_2, .size = 52, .group = 1, .seq = (uint8_t) (i + 1), .command = 1 };

                memset(messages[i], 0x41, sizeof messages[i]);
                smp_header_write(&header, messages[i]);
        }
}

static void test_assembly(void **state) {
        static const struct {
                const char *what;
                struct packet packets[PACKETS_MAX];
                const char *seqs; /* of what became whole */
                unsigned n_broken;
        } rows[] = {
                { "in one", { { 0, 60, 0 } }, "1", 0 },
                { "in three", { { 0, 20, 0 }, { 20, 40, 0 }, { 40, 60, 0 } }, "1", 0 },
                { "two", { { 0, 40, 0 }, { 40, 60, 0 }, { 0, 40, 1 }, { 40, 60, 1 } }, "12", 0 },
                { "the last piece lost", { { 0, 20, 0 }, { 20, 40, 0 }, { 0, 20, 1 }, { 20, 40, 1 }, { 40, 60, 1 } }, "2", 1 },
                { "the first piece lost", { { 20, 40, 0 }, { 40, 60, 0 }, { 0, 60, 1 } }, "2", 2 },
                { "a pause too long", { { 0, 20, 0 }, { 0, 0, 0 }, { 20, 40, 0 }, { 0, 60, 1 } }, "2", 2 },
                { "half a header", { { 0, 7, 0 }, { 7, 60, 0 }, { 0, 60, 1 } }, "2", 2 },
        };

        (void) state;
        make_messages();
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                struct smp_ble_assembly assembly = { 0 };
                int64_t now_ms = 1000;

                n_whole = 0;
                for (size_t j = 0; j < PACKETS_MAX; j++) {
                        const struct packet *packet = &rows[i].packets[j];

                        if (packet->to == 0)
                                now_ms += 6000;
                        else
                                assert_int_equal(smp_ble_assembly_feed(&assembly, now_ms, messages[packet->message] + packet->from, (size_t) packet->to - packet->from,
                                                                       keep_whole, NULL),
                                                 0);
                }
                if (n_whole != strlen(rows[i].seqs) || assembly.n_broken != rows[i].n_broken)
                        fail_msg("%s: %zu whole, %u broken", rows[i].what, n_whole, (unsigned) assembly.n_broken);
                for (size_t j = 0; j < n_whole; j++) {
                        assert_int_equal(whole_seqs[j], rows[i].seqs[j] - '0');
                        assert_int_equal(whole_sizes[j], 60);
                }
                smp_ble_assembly_deinit(&assembly);
        }
}

/* ---- the link */

struct fixture {
        struct scripted_host host;
        struct scripted_gatt gatt;
        struct scripted_ble *sensor;
        struct gw_link *link;
        bool close_on_open, close_on_message;
        unsigned n_opened, n_received, n_writable, n_closed;
        char closed_by[48];
        size_t sent[32], n_sent; /* sizes of packets */
        size_t received_size;
};

static void close_link(struct fixture *fixture) {
        if (fixture->link)
                fixture->link->ops->close(fixture->link);
        fixture->link = NULL;
}

static void on_opened(void *ctx) {
        struct fixture *fixture = ctx;

        fixture->n_opened++;
        if (fixture->close_on_open)
                close_link(fixture);
}

static void on_received(void *ctx, const uint8_t *data, size_t size) {
        struct fixture *fixture = ctx;

        (void) data;
        fixture->n_received++;
        fixture->received_size = size;
        if (fixture->close_on_message)
                close_link(fixture);
}

static void on_writable(void *ctx) {
        ((struct fixture *) ctx)->n_writable++;
}

static void on_closed(void *ctx, const struct gw_error *why) {
        struct fixture *fixture = ctx;

        fixture->n_closed++;
        snprintf(fixture->closed_by, sizeof fixture->closed_by, "%s", why->name);
}

static const struct gw_link_handler handler = { .opened = on_opened, .received = on_received, .writable = on_writable, .closed = on_closed };

static void packet_sent(void *ctx, struct scripted_link *link, const uint8_t *data, size_t size) {
        struct fixture *fixture = ctx;

        (void) link;
        (void) data;
        fixture->sent[fixture->n_sent++] = size;
}

static void fixture_init(struct fixture *fixture) {
        memset(fixture, 0, sizeof *fixture);
        scripted_host_init(&fixture->host, NULL);
        scripted_gatt_init(&fixture->gatt, &fixture->host);
        fixture->host.peer = (struct scripted_peer){ .sent = packet_sent, .ctx = fixture };
        fixture->sensor = scripted_ble_add(&fixture->gatt, KEY, "sensor");
        scripted_ble_characteristic(fixture->sensor, SMP_BLE_SERVICE, SMP_BLE_CHARACTERISTIC, GW_GATT_WRITE_COMMAND | GW_GATT_NOTIFY);
        scripted_ble_advertise_service(fixture->sensor, SMP_BLE_SERVICE);
        fixture->sensor->max_datagram = 20;
        make_messages();
}

static void fixture_deinit(struct fixture *fixture) {
        close_link(fixture);
        scripted_gatt_deinit(&fixture->gatt);
        scripted_host_deinit(&fixture->host);
}

static void open_link(struct fixture *fixture, const struct smp_ble_options *options) {
        const struct smp_ble_options plain = { .key = KEY };

        scripted_ble_advertise(fixture->sensor);
        assert_int_equal(smp_ble_open(&fixture->host.host, options ? options : &plain, &handler, fixture, &fixture->link), 0);
        scripted_host_advance(&fixture->host, 10);
}

static struct scripted_link *peer_of(struct fixture *fixture) {
        struct scripted_link *link = scripted_link_open_one(&fixture->host);

        assert_non_null(link);
        return link;
}

static void test_pieces(void **state) {
        struct fixture fixture;
        uint8_t message[50] = { 2 };

        (void) state;
        fixture_init(&fixture);
        open_link(&fixture, NULL);
        assert_int_equal(fixture.n_opened, 1);
        assert_int_equal(smp_ble_peer(fixture.link)->packet_max, 20);
        assert_string_equal(smp_ble_peer(fixture.link)->address, "DE:06:3B:97:4C:D8");
        assert_int_equal(smp_ble_peer(fixture.link)->battery_percent, GW_BATTERY_UNKNOWN);
        fixture.sensor->battery_percent = 71; /* it was read a little later */
        smp_ble_look(fixture.link);
        assert_int_equal(smp_ble_peer(fixture.link)->battery_percent, 71);
        assert_int_equal(fixture.link->ops->send(fixture.link, message, sizeof message), 0);
        assert_int_equal(fixture.n_sent, 3);
        assert_int_equal(fixture.sent[0], 20);
        assert_int_equal(fixture.sent[2], 10);
        scripted_link_receive(peer_of(&fixture), messages[0], 40);
        assert_int_equal(fixture.n_received, 0);
        scripted_link_receive(peer_of(&fixture), messages[0] + 40, 20);
        assert_int_equal(fixture.n_received, 1);
        assert_int_equal(fixture.received_size, 60);
        fixture.close_on_message = true;
        scripted_link_receive(peer_of(&fixture), messages[1], 60);
        assert_int_equal(fixture.n_received, 2);
        assert_int_equal(fixture.n_closed, 0);
        fixture_deinit(&fixture);
}

/* The characteristic takes two packets, then none: the rest of the message waits, the next one is told to. */
static void test_back_pressure(void **state) {
        struct fixture fixture;
        uint8_t message[50] = { 2 };

        (void) state;
        fixture_init(&fixture);
        open_link(&fixture, NULL);
        peer_of(&fixture)->room = 2;
        assert_int_equal(fixture.link->ops->send(fixture.link, message, sizeof message), 0);
        assert_int_equal(fixture.n_sent, 2);
        assert_int_equal(fixture.link->ops->queued_bytes(fixture.link), 10);
        assert_int_equal(fixture.link->ops->send(fixture.link, message, sizeof message), -EAGAIN);
        assert_int_equal(fixture.n_writable, 0);
        peer_of(&fixture)->room = SIZE_MAX;
        peer_of(&fixture)->link.handler->writable(peer_of(&fixture)->link.handler_ctx);
        assert_int_equal(fixture.n_sent, 3);
        assert_int_equal(fixture.n_writable, 1);
        assert_int_equal(fixture.link->ops->send(fixture.link, message, sizeof message), 0);
        assert_int_equal(fixture.n_sent, 6);
        fixture_deinit(&fixture);
}

static void test_serial_number(void **state) {
        static const struct {
                const char *value, *fails, *serial;
        } rows[] = { { "SN 0042", NULL, "SN0042" }, { "", NULL, "" }, { "SN1", "gatt-failed", "" } };

        (void) state;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                struct fixture fixture;
                struct scripted_ble_characteristic *number;

                fixture_init(&fixture);
                number = scripted_ble_characteristic(fixture.sensor, SERIAL_SERVICE, SERIAL_NUMBER, GW_GATT_READ);
                number->value_size = strlen(rows[i].value);
                memcpy(number->value, rows[i].value, number->value_size);
                number->fails = rows[i].fails;
                open_link(&fixture, NULL);
                assert_int_equal(fixture.n_opened, 1);
                assert_string_equal(smp_ble_peer(fixture.link)->serial, rows[i].serial);
                fixture_deinit(&fixture);
        }
}

static void test_ends(void **state) {
        static const struct {
                const char *open_fails, *characteristic_fails, *lost_by, *wanted;
                bool missing;
        } rows[] = {
                { .open_fails = "ble-connect-failed", .wanted = "ble-connect-failed" },
                { .characteristic_fails = "encryption-required", .wanted = "encryption-required" },
                { .lost_by = "ble-disconnected", .wanted = "ble-disconnected" },
                { .missing = true, .wanted = "gatt-service-missing" },
        };

        (void) state;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                struct fixture fixture;

                fixture_init(&fixture);
                fixture.sensor->open_fails = rows[i].open_fails;
                fixture.sensor->characteristics[0].fails = rows[i].characteristic_fails;
                if (rows[i].missing)
                        fixture.sensor->n_characteristics = 0;
                open_link(&fixture, NULL);
                if (rows[i].lost_by)
                        scripted_ble_lose(fixture.sensor, rows[i].lost_by);
                scripted_host_advance(&fixture.host, 100);
                assert_string_equal(fixture.closed_by, rows[i].wanted);
                assert_int_equal(fixture.n_closed, 1);
                assert_int_equal(fixture.link->ops->send(fixture.link, "x", 1), -ENOTCONN);
                fixture_deinit(&fixture);
        }
}

/* Closed by its owner in every state, also from inside `opened`: nothing is left and nothing is told. */
static void test_close_in_every_state(void **state) {
        const struct smp_ble_options fresh = { .key = KEY, .fresh_ms = 1000 };

        (void) state;
        for (int64_t after_ms = 0; after_ms < 4; after_ms++)
                for (int is_fresh = 0; is_fresh < 2; is_fresh++) {
                        struct fixture fixture;
                        struct scripted_ble_characteristic *number;

                        fixture_init(&fixture);
                        number = scripted_ble_characteristic(fixture.sensor, SERIAL_SERVICE, SERIAL_NUMBER, GW_GATT_READ);
                        number->value_size = 1;
                        if (!is_fresh)
                                scripted_ble_advertise(fixture.sensor);
                        assert_int_equal(smp_ble_open(&fixture.host.host, is_fresh ? &fresh : &(struct smp_ble_options){ .key = KEY }, &handler, &fixture, &fixture.link), 0);
                        for (int64_t i = 0; i < after_ms; i++)
                                (void) scripted_host_step(&fixture.host, fixture.host.now_ms + 1);
                        close_link(&fixture);
                        scripted_host_advance(&fixture.host, 5000);
                        assert_int_equal(fixture.n_closed, 0);
                        fixture_deinit(&fixture);
                }
        struct fixture fixture;
        fixture_init(&fixture);
        fixture.close_on_open = true;
        open_link(&fixture, NULL);
        assert_int_equal(fixture.n_opened, 1);
        fixture_deinit(&fixture);
}

static bool accepts_other(void *ctx, const struct gw_gatt_peer *peer) {
        unsigned *n_asked = ctx;

        (*n_asked)++;
        return strcmp(peer->key, OTHER_KEY) == 0;
}

/* After a reset: the old object is forgotten, an advertisement from before does not count, another address only where `match` says so. */
static void test_fresh(void **state) {
        struct fixture fixture;
        unsigned n_asked = 0;
        const struct smp_ble_options options = { .key = KEY, .fresh_ms = 1000, .match = accepts_other, .match_ctx = &n_asked };

        (void) state;
        fixture_init(&fixture);
        open_link(&fixture, &options); /* advertises before */
        assert_int_equal(fixture.n_opened, 0);
        assert_int_equal(fixture.sensor->n_forgotten, 1);
        scripted_ble_advertise(fixture.sensor);
        scripted_host_advance(&fixture.host, 10);
        assert_int_equal(fixture.n_opened, 1);
        assert_int_equal(n_asked, 0);
        close_link(&fixture);

        open_link(&fixture, &options);
        scripted_ble_readdress(fixture.sensor, OTHER_KEY);
        scripted_ble_advertise(fixture.sensor);
        scripted_host_advance(&fixture.host, 10);
        assert_int_equal(fixture.n_opened, 2);
        assert_string_equal(smp_ble_peer(fixture.link)->key, OTHER_KEY);
        close_link(&fixture);

        open_link(&fixture, &options);
        scripted_host_advance(&fixture.host, 1001);
        assert_string_equal(fixture.closed_by, "not-seen");
        fixture_deinit(&fixture);
}

static void test_no_bluetooth(void **state) {
        struct scripted_host host;
        struct gw_link *link;
        const struct smp_ble_options options = { .key = KEY };

        (void) state;
        scripted_host_init(&host, NULL);
        assert_int_equal(smp_ble_open(&host.host, &options, &handler, NULL, &link), -ENOTSUP);
        scripted_host_deinit(&host);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_assembly), cmocka_unit_test(test_pieces),
                cmocka_unit_test(test_back_pressure), cmocka_unit_test(test_serial_number),
                cmocka_unit_test(test_ends), cmocka_unit_test(test_close_in_every_state),
                cmocka_unit_test(test_fresh), cmocka_unit_test(test_no_bluetooth),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
