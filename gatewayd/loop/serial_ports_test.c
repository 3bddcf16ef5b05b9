/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/serial_ports.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "loop/loop_internal.h"
#include "loop/test_support.h"

#define N_PORTS 4
#define PATH_SIZE 256

/* A folder with fake nodes (links to pseudo terminals) in dev/ and a sysfs of the real one's shape in sys/. */
struct fixture {
        struct loop *loop;
        char root[32];
        char sysfs[64];
        char glob[64];
        int masters[N_PORTS];
        char slaves[N_PORTS][64];
        size_t n_found;
        char paths[N_PORTS + 1][PATH_SIZE];
        char keys[N_PORTS + 1][GW_KEY_MAX + 1];
        char last_product[64];
        uint16_t last_vendor_id, last_product_id;
        int last_interface;
        size_t n_changed;
};

__attribute__((format(printf, 2, 3))) static const char *in_root(struct fixture *fixture, const char *format, ...) {
        static char path[PATH_SIZE];
        va_list arguments;
        int n = snprintf(path, sizeof path, "%s/", fixture->root);

        va_start(arguments, format);
        vsnprintf(path + n, sizeof path - (size_t) n, format, arguments);
        va_end(arguments);
        return path;
}

static void make_folders(const char *path) {
        char part[PATH_SIZE];

        for (size_t i = 1; path[i]; i++)
                if (path[i + 1] == '/' || !path[i + 1]) {
                        snprintf(part, sizeof part, "%.*s", (int) i + 1, path);
                        if (mkdir(part, 0755) < 0)
                                assert_int_equal(errno, EEXIST);
                }
}

static void make_file(const char *path, const char *text) {
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
        close(fd);
}

static void plug(struct fixture *fixture, const char *name, size_t index) {
        assert_int_equal(symlink(fixture->slaves[index], in_root(fixture, "dev/%s", name)), 0);
}

static void usb_device(struct fixture *fixture, const char *device, const char *serial) {
        make_folders(in_root(fixture, "sys/devices/usb1/%s", device));
        make_file(in_root(fixture, "sys/devices/usb1/%s/idVendor", device), "1366\n");
        make_file(in_root(fixture, "sys/devices/usb1/%s/idProduct", device), "1051\n");
        make_file(in_root(fixture, "sys/devices/usb1/%s/manufacturer", device), "SEGGER\n");
        make_file(in_root(fixture, "sys/devices/usb1/%s/product", device), "J-Link\n");
        if (serial)
                make_file(in_root(fixture, "sys/devices/usb1/%s/serial", device), serial);
}

/* As cdc-acm does: the interface is the tty's device. */
static void acm_tty(struct fixture *fixture, const char *device, const char *interface, const char *name) {
        char target[PATH_SIZE];

        make_folders(in_root(fixture, "sys/devices/usb1/%s/%s:1.%s/tty/%s", device, device, interface, name));
        make_file(in_root(fixture, "sys/devices/usb1/%s/%s:1.%s/bInterfaceNumber", device, device, interface), interface);
        snprintf(target, sizeof target, "../../../%s:1.%s", device, interface);
        assert_int_equal(symlink(target, in_root(fixture, "sys/devices/usb1/%s/%s:1.%s/tty/%s/device", device, device, interface, name)),
                         0);
        snprintf(target, sizeof target, "../../devices/usb1/%s/%s:1.%s/tty/%s", device, device, interface, name);
        assert_int_equal(symlink(target, in_root(fixture, "sys/class/tty/%s", name)), 0);
}

/* As usb-serial does: a port device lies between. */
static void usb_serial_tty(struct fixture *fixture, const char *device, const char *interface, const char *name, const char *port_number) {
        char folder[PATH_SIZE], target[PATH_SIZE];

        snprintf(folder, sizeof folder, "sys/devices/usb1/%s/%s:1.%s", device, device, interface);
        make_folders(in_root(fixture, "%s/%s/tty/%s", folder, name, name));
        make_file(in_root(fixture, "%s/bInterfaceNumber", folder), interface);
        make_file(in_root(fixture, "%s/%s/port_number", folder, name), port_number);
        snprintf(target, sizeof target, "../../../%s", name);
        assert_int_equal(symlink(target, in_root(fixture, "%s/%s/tty/%s/device", folder, name, name)), 0);
        snprintf(target, sizeof target, "../../devices/usb1/%s/%s:1.%s/%s/tty/%s", device, device, interface, name, name);
        assert_int_equal(symlink(target, in_root(fixture, "sys/class/tty/%s", name)), 0);
}

static int setup(void **state) {
        struct fixture *fixture = calloc(1, sizeof *fixture);

        *state = fixture;
        strcpy(fixture->root, "/tmp/gw_ports_XXXXXX");
        assert_non_null(mkdtemp(fixture->root));
        make_folders(in_root(fixture, "dev"));
        make_folders(in_root(fixture, "sys/class/tty"));
        snprintf(fixture->sysfs, sizeof fixture->sysfs, "%s/sys", fixture->root);
        snprintf(fixture->glob, sizeof fixture->glob, "%s/dev/tty[AU]*", fixture->root);
        for (size_t i = 0; i < N_PORTS; i++) {
                fixture->masters[i] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
                assert_int_equal(grantpt(fixture->masters[i]), 0);
                assert_int_equal(unlockpt(fixture->masters[i]), 0);
                assert_int_equal(ptsname_r(fixture->masters[i], fixture->slaves[i], sizeof fixture->slaves[i]), 0);
        }
        return loop_new(&fixture->loop);
}

static int teardown(void **state) {
        struct fixture *fixture = *state;
        char command[PATH_SIZE];

        loop_free(fixture->loop);
        for (size_t i = 0; i < N_PORTS; i++)
                close(fixture->masters[i]);
        snprintf(command, sizeof command, "rm -r '%s'", fixture->root);
        assert_int_equal(system(command), 0);
        free(fixture);
        return 0;
}

static void on_found(void *ctx, const struct gw_serial_port *port) {
        struct fixture *fixture = ctx;

        assert_true(fixture->n_found <= N_PORTS);
        snprintf(fixture->paths[fixture->n_found], PATH_SIZE, "%s", port->path + strlen(fixture->root));
        snprintf(fixture->keys[fixture->n_found], GW_KEY_MAX + 1, "%s", port->key);
        snprintf(fixture->last_product, sizeof fixture->last_product, "%s %s %s", port->manufacturer, port->product, port->usb_serial);
        fixture->last_vendor_id = port->usb_vendor_id;
        fixture->last_product_id = port->usb_product_id;
        fixture->last_interface = port->usb_interface;
        fixture->n_found++;
}

static void list_ports(struct fixture *fixture) {
        const char *const globs[] = { fixture->glob };

        fixture->n_found = 0;
        assert_int_equal(serial_ports_list(globs, 1, fixture->sysfs, on_found, fixture), 0);
}

static void test_nothing_plugged_in(void **state) {
        struct fixture *fixture = *state;

        list_ports(fixture);
        assert_int_equal(fixture->n_found, 0);
}

static void test_a_board_with_two_ports(void **state) {
        struct fixture *fixture = *state;

        usb_device(fixture, "1-1", "000683459357\n");
        acm_tty(fixture, "1-1", "02", "ttyACM1");
        acm_tty(fixture, "1-1", "00", "ttyACM0");
        plug(fixture, "ttyACM1", 1);
        plug(fixture, "ttyACM0", 0);
        make_file(in_root(fixture, "dev/ttyANOTE"), "no character device");
        list_ports(fixture);
        assert_int_equal(fixture->n_found, 2);
        assert_string_equal(fixture->paths[0], "/dev/ttyACM0");
        assert_string_equal(fixture->keys[0], "000683459357-if00");
        assert_string_equal(fixture->keys[1], "000683459357-if02");
        assert_string_equal(fixture->last_product, "SEGGER J-Link 000683459357");
        assert_int_equal(fixture->last_vendor_id, 0x1366);
        assert_int_equal(fixture->last_product_id, 0x1051);
        assert_int_equal(fixture->last_interface, 2);
}

static void test_the_same_device_under_another_name_keeps_its_key(void **state) {
        struct fixture *fixture = *state;

        usb_device(fixture, "1-1", "E6614103\n");
        acm_tty(fixture, "1-1", "00", "ttyACM0");
        plug(fixture, "ttyACM0", 0);
        list_ports(fixture);
        assert_string_equal(fixture->keys[0], "E6614103-if00");
        assert_int_equal(unlink(in_root(fixture, "dev/ttyACM0")), 0);
        usb_device(fixture, "1-4", "E6614103\n");
        acm_tty(fixture, "1-4", "00", "ttyACM7");
        plug(fixture, "ttyACM7", 1);
        list_ports(fixture);
        assert_int_equal(fixture->n_found, 1);
        assert_string_equal(fixture->paths[0], "/dev/ttyACM7");
        assert_string_equal(fixture->keys[0], "E6614103-if00");
}

static void test_adapters_with_their_own_port_device(void **state) {
        struct fixture *fixture = *state;

        usb_device(fixture, "1-2", "FT0001\n");
        usb_serial_tty(fixture, "1-2", "01", "ttyUSB0", "0\n");
        usb_serial_tty(fixture, "1-2", "03", "ttyUSB1", "2\n");
        plug(fixture, "ttyUSB0", 0);
        plug(fixture, "ttyUSB1", 1);
        list_ports(fixture);
        assert_string_equal(fixture->keys[0], "FT0001-if01");
        assert_string_equal(fixture->keys[1], "FT0001-if03-p2");
}

static void test_ports_that_share_a_key_have_none(void **state) {
        struct fixture *fixture = *state;

        usb_device(fixture, "1-1", "0001\n");
        usb_serial_tty(fixture, "1-1", "00", "ttyUSB0", "0\n");
        usb_device(fixture, "1-2", "0001\n");
        usb_serial_tty(fixture, "1-2", "00", "ttyUSB1", "0\n");
        usb_device(fixture, "1-3", "0002\n");
        usb_serial_tty(fixture, "1-3", "00", "ttyUSB2", "0\n");
        for (size_t i = 0; i < 3; i++) {
                char name[] = { 't', 't', 'y', 'U', 'S', 'B', (char) ('0' + i), '\0' };

                plug(fixture, name, i);
        }
        list_ports(fixture);
        assert_int_equal(fixture->n_found, 3);
        assert_string_equal(fixture->keys[0], "");
        assert_string_equal(fixture->keys[1], "");
        assert_string_equal(fixture->keys[2], "0002-if00");
}

static void test_without_a_serial_number_there_is_no_key(void **state) {
        struct fixture *fixture = *state;

        plug(fixture, "ttyAMA0", 0);
        usb_device(fixture, "1-1", NULL);
        acm_tty(fixture, "1-1", "00", "ttyUSB9");
        plug(fixture, "ttyUSB9", 1);
        list_ports(fixture);
        assert_int_equal(fixture->n_found, 2);
        assert_string_equal(fixture->keys[0], "");
        assert_string_equal(fixture->keys[1], "");
        assert_string_equal(fixture->last_product, "SEGGER J-Link ");
}

static void test_odd_serial_numbers(void **state) {
        struct fixture *fixture = *state;
        char too_long[GW_KEY_MAX + 2];

        memset(too_long, 'x', sizeof too_long - 1);
        too_long[sizeof too_long - 1] = '\0';
        usb_device(fixture, "1-1", "A B/../C\n");
        acm_tty(fixture, "1-1", "00", "ttyACM0");
        usb_device(fixture, "1-2", too_long);
        acm_tty(fixture, "1-2", "00", "ttyACM1");
        usb_device(fixture, "1-3", "\n");
        acm_tty(fixture, "1-3", "00", "ttyACM2");
        plug(fixture, "ttyACM0", 0);
        plug(fixture, "ttyACM1", 1);
        plug(fixture, "ttyACM2", 2);
        list_ports(fixture);
        assert_string_equal(fixture->keys[0], "A_B_.._C-if00");
        assert_string_equal(fixture->keys[1], "");
        assert_string_equal(fixture->keys[2], "");
}

static void test_a_node_and_a_link_to_it_are_one_port(void **state) {
        struct fixture *fixture = *state;
        char second[PATH_SIZE];
        const char *const globs[] = { fixture->glob, second };

        usb_device(fixture, "1-1", "77\n");
        acm_tty(fixture, "1-1", "00", "ttyACM0");
        plug(fixture, "ttyACM0", 0);
        make_folders(in_root(fixture, "dev/zz-by-id"));
        snprintf(second, sizeof second, "%s", in_root(fixture, "dev/zz-by-id/*"));
        assert_int_equal(symlink("../ttyACM0", in_root(fixture, "dev/zz-by-id/usb-board")), 0);
        assert_int_equal(serial_ports_list(globs, 2, fixture->sysfs, on_found, fixture), 0);
        assert_int_equal(fixture->n_found, 1);
        assert_string_equal(fixture->paths[0], "/dev/ttyACM0");
}

/* ---- the watch */

static void on_changed(void *ctx) {
        struct fixture *fixture = ctx;

        fixture->n_changed++;
}

static void test_a_burst_is_told_once_and_other_nodes_never(void **state) {
        struct fixture *fixture = *state;
        const char *const globs[] = { fixture->glob };
        struct serial_ports_watch *watch;

        assert_int_equal(serial_ports_watch_new(fixture->loop, globs, 1, on_changed, fixture, &watch), 0);
        make_file(in_root(fixture, "dev/random"), "");
        plug(fixture, "ttyACM0", 0);
        plug(fixture, "ttyACM1", 1);
        assert_int_equal(fixture->n_changed, 0);
        LOOP_UNTIL(fixture->loop, fixture->n_changed == 1);
        assert_int_equal(unlink(in_root(fixture, "dev/ttyACM0")), 0);
        LOOP_UNTIL(fixture->loop, fixture->n_changed == 2);
        serial_ports_watch_free(watch);
        loop_run(fixture->loop);
        assert_int_equal(fixture->n_changed, 2);
}

static void test_permissions_count_and_bytes_do_not(void **state) {
        struct fixture *fixture = *state;
        const char *const globs[] = { fixture->glob };
        struct serial_ports_watch *watch;

        make_file(in_root(fixture, "dev/ttyAMA0"), "");
        assert_int_equal(serial_ports_watch_new(fixture->loop, globs, 1, on_changed, fixture, &watch), 0);
        make_file(in_root(fixture, "dev/ttyAMA0"), "bytes");
        loop_turn(fixture->loop);
        assert_int_equal(fixture->loop->timers.n_timers, 0);
        assert_int_equal(chmod(in_root(fixture, "dev/ttyAMA0"), 0660), 0);
        loop_turn(fixture->loop);
        assert_int_equal(fixture->loop->timers.n_timers, 1);
        LOOP_UNTIL(fixture->loop, fixture->n_changed == 1);
        serial_ports_watch_free(watch);
}

static void test_a_folder_that_comes_goes_and_comes_again(void **state) {
        struct fixture *fixture = *state;
        char glob[PATH_SIZE];
        const char *const globs[] = { glob, fixture->glob };
        struct serial_ports_watch *watch;

        snprintf(glob, sizeof glob, "%s", in_root(fixture, "dev/serial/by-id/*"));
        assert_int_equal(serial_ports_watch_new(fixture->loop, globs, 2, on_changed, fixture, &watch), 0);
        for (size_t i = 0; i < 2; i++) {
                make_folders(in_root(fixture, "dev/serial/by-id"));
                LOOP_UNTIL(fixture->loop, fixture->n_changed == 1);
                make_file(in_root(fixture, "dev/serial/by-id/usb-board"), "");
                LOOP_UNTIL(fixture->loop, fixture->n_changed == 2);
                assert_int_equal(unlink(in_root(fixture, "dev/serial/by-id/usb-board")), 0);
                assert_int_equal(rmdir(in_root(fixture, "dev/serial/by-id")), 0);
                assert_int_equal(rmdir(in_root(fixture, "dev/serial")), 0);
                LOOP_UNTIL(fixture->loop, fixture->n_changed == 3);
                fixture->n_changed = 0;
        }
        plug(fixture, "ttyACM0", 0);
        LOOP_UNTIL(fixture->loop, fixture->n_changed == 1);
        serial_ports_watch_free(watch);
}

static void test_hopeless_globs_harm_nobody(void **state) {
        struct fixture *fixture = *state;
        char below_file[PATH_SIZE];
        const char *const globs[] = { below_file, "/*", "/tty*" }, *const relative[] = { "dev/tty*" };
        struct serial_ports_watch *watch = NULL;

        make_file(in_root(fixture, "file"), "");
        snprintf(below_file, sizeof below_file, "%s", in_root(fixture, "file/tty*"));
        assert_int_equal(serial_ports_watch_new(fixture->loop, relative, 1, on_changed, fixture, &watch), -EINVAL);
        assert_null(watch);
        assert_int_equal(serial_ports_watch_new(fixture->loop, globs, 3, on_changed, fixture, &watch), 0);
        serial_ports_watch_free(watch);
        serial_ports_watch_free(NULL);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_nothing_plugged_in),
                TEST(test_a_board_with_two_ports),
                TEST(test_the_same_device_under_another_name_keeps_its_key),
                TEST(test_adapters_with_their_own_port_device),
                TEST(test_ports_that_share_a_key_have_none),
                TEST(test_without_a_serial_number_there_is_no_key),
                TEST(test_odd_serial_numbers),
                TEST(test_a_node_and_a_link_to_it_are_one_port),
                TEST(test_a_burst_is_told_once_and_other_nodes_never),
                TEST(test_permissions_count_and_bytes_do_not),
                TEST(test_a_folder_that_comes_goes_and_comes_again),
                TEST(test_hopeless_globs_harm_nobody),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
