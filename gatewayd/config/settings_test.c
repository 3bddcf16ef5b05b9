/* SPDX-License-Identifier: Apache-2.0 */
#include "config/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

#include "base/str.h"

static struct settings *parsed(const char *text, struct config_errors *errors) {
        struct settings *settings = NULL;

        assert_int_equal(settings_parse("t.conf", text, strlen(text), errors, &settings), 0);
        return settings;
}

/* Where no mistake is expected. */
static struct settings *good(const char *text) {
        _cleanup_config_errors_ struct config_errors errors = CONFIG_ERRORS_INIT;
        struct settings *settings = parsed(text, &errors);

        if (config_errors_any(&errors))
                fail_msg("line %u: %s: %s", errors.items[0].line, errors.items[0].where, errors.items[0].text);
        return settings;
}

static void test_defaults(void **state) {
        _cleanup_settings_ struct settings *settings = good("");

        (void) state;
        assert_string_equal(settings->gateway.id, "");
        assert_string_equal(settings->gateway.state_dir, "/var/lib/gatewayd");
        assert_string_equal(settings->gateway.control_socket, "/run/gatewayd/control.sock");
        assert_string_equal(settings->gateway.adoption_list, "");
        assert_int_equal(settings->log.level, LOG_LEVEL_INFO);
        assert_true(settings->artifacts.quota_bytes == 512u << 20);
        assert_false(settings->artifacts.allow_private || settings->artifacts.allow_loopback);
        assert_string_equal(settings->policy.mode, "test-and-confirm");
        assert_int_equal(settings->policy.concurrency, 3);
        assert_int_equal(settings->policy.deadline_ms, 14LL * 86400 * 1000);
        assert_int_equal(settings->policy.trial_ms, 60000);
        assert_int_equal(settings->policy.n_maintenance_windows, 0);
        assert_int_equal(settings->serial.ports.n_items, 2);
        assert_false(settings->mcuboot.require_signature);
        assert_int_equal(settings->n_sources + settings->n_devices + settings->n_plugins, 0);
        assert_true(settings_plugin_enabled(settings, "smp"));
}

static const char full[] = "[gateway]\n"
                           "id = pi-oslo-1\n"
                           "groups = oslo, test\n"
                           "auto_adopt = smp-serial\n"
                           "[log]\n"
                           "level = debug\n"
                           "[artifacts]\n"
                           "max_size = 1M\n"
                           "allow_private = loopback, 10.1.0.0/16\n"
                           "[mcuboot]\n"
                           "public_keys = /etc/gatewayd/keys/a.pem\n"
                           "  /etc/gatewayd/keys/b.pem\n"
                           "require_signature = yes\n"
                           "[source acme]\n"
                           "prefix = https://fw.example/acme/\n"
                           "user = me\n"
                           "password_file = /etc/gatewayd/acme.password\n"
                           "[source acme-beta]\n"
                           "prefix = https://fw.example/acme/beta/\n"
                           "bearer_file = /etc/gatewayd/beta.token\n"
                           "[https]\n"
                           "url = https://fleet.example:8443/lists\n"
                           "events_url = https://fleet.example/events?site=7\n"
                           "poll_interval = 1 min\n"
                           "client_cert = /etc/gatewayd/client.pem\n"
                           "client_key = /etc/gatewayd/client.key\n"
                           "ca_file = /etc/gatewayd/fleet-ca.pem\n"
                           "[notify]\n"
                           "on = paused, job-failed\n"
                           "command = /usr/local/bin/notice\n"
                           "webhook = https://hooks.example/T0/B0\n"
                           "bearer_file = /etc/gatewayd/hooks.token\n"
                           "[mqtt]\n"
                           "url = mqtts://broker.example\n"
                           "root = acme\n"
                           "user = pi-oslo-1\n"
                           "password_file = /etc/gatewayd/mqtt.password\n"
                           "keepalive = 30 s\n"
                           "[policy]\n"
                           "maintenance_windows = mon-fri 22:00 7h Europe/Oslo;\n"
                           "  08:00 90 min UTC\n"
                           "[device kitchen]\n"
                           "driver = smp-udp\n"
                           "address = 192.0.2.7:1337\n"
                           "model = acme,sensor-r2\n"
                           "labels = sensor kitchen\n"
                           "mtu = 500\n"
                           "[plugin exec]\n"
                           "enabled = no\n"
                           "timeout = 5 s\n";

static void test_full(void **state) {
        _cleanup_settings_ struct settings *settings = good(full);
        const struct settings_device *device = settings_device_find(settings, "kitchen");

        (void) state;
        assert_string_equal(settings->gateway.id, "pi-oslo-1");
        assert_true(str_list_contains(&settings->gateway.groups, "test"));
        assert_int_equal(settings->log.level, LOG_LEVEL_DEBUG);
        assert_true(settings->artifacts.allow_loopback);
        assert_int_equal(settings->artifacts.n_allow_ranges, 1);
        assert_int_equal(settings->mcuboot.public_keys.n_items, 2);
        assert_true(settings->mcuboot.require_signature);
        assert_int_equal(settings->n_sources, 2);
        assert_int_equal(settings->policy.n_maintenance_windows, 2);
        assert_int_equal(settings->policy.maintenance_windows[0].days, 0x1f);
        assert_int_equal(settings->policy.maintenance_windows[1].duration_min, 90);
        assert_string_equal(settings->mqtt.url, "mqtts://broker.example");
        assert_string_equal(settings->mqtt.root, "acme");
        assert_string_equal(settings->mqtt.credentials.user, "pi-oslo-1");
        assert_int_equal(settings->mqtt.keepalive_ms, 30000);
        assert_int_equal(settings->mqtt.session_expiry_ms, 7ll * 24 * 3600 * 1000);
        assert_non_null(device);
        assert_string_equal(device->driver, "smp-udp");
        assert_string_equal(device->model, "acme,sensor-r2");
        assert_true(str_list_contains(&device->labels, "kitchen"));
        assert_null(settings_device_find(settings, "cellar"));
        assert_false(settings_plugin_enabled(settings, "exec"));
}

static void test_https_and_notify(void **state) {
        _cleanup_settings_ struct settings *settings = good(full), *defaults = good("");

        (void) state;
        assert_string_equal(defaults->https.url, "");
        assert_string_equal(defaults->https.events_url, "");
        assert_int_equal(defaults->https.poll_interval_ms, 300000);
        assert_int_equal(defaults->trust.certificate_warning_ms, 14LL * 86400 * 1000);
        assert_true(str_list_contains(&defaults->notify.on, "paused") && str_list_contains(&defaults->notify.on, "completed"));
        assert_string_equal(settings->https.url, "https://fleet.example:8443/lists");
        assert_string_equal(settings->https.events_url, "https://fleet.example/events?site=7");
        assert_int_equal(settings->https.poll_interval_ms, 60000);
        assert_string_equal(settings->https.credentials.client_key, "/etc/gatewayd/client.key");
        assert_string_equal(settings->notify.command, "/usr/local/bin/notice");
        assert_string_equal(settings->notify.webhook, "https://hooks.example/T0/B0");
        assert_string_equal(settings->notify.credentials.bearer_file, "/etc/gatewayd/hooks.token");
        assert_false(str_list_contains(&settings->notify.on, "completed"));
        assert_int_equal(settings->notify.timeout_ms, 30000);
        assert_string_equal(settings_source_find(settings, "https://fw.example/acme/a.bin")->credentials.user, "me");
}

static void test_every_mistake_at_once(void **state) {
        static const struct {
                unsigned line;
                const char *where;
                const char *text;
        } rows[] = {
                {1, "[gatway]", "unknown section, did you mean [gateway]?"},
                {2, "[nothing-like-it]", "unknown section"},
                {3, "[device]", "needs a name: [device NAME]"},
                {4, "[log x]", "takes no name: [log]"},
                {6, "[gateway] id", "expected 1 to 63 characters of a-z 0-9 -"},
                {7, "[gateway] groups", "\"B\" is not 1 to 63 characters of a-z 0-9 -"},
                {8, "[gateway] auto_adopt", "\"default\" and \"none\" stand alone"},
                {9, "[gateway] stat_dir", "unknown key, did you mean \"state_dir\"?"},
                {11, "[artifacts] max_size", "max_size (1G) is above quota (512M): such a file could never be kept"},
                {12, "[artifacts] allow_private", "\"10.0.0.1/8\" is none of loopback, private, an address or a range such as 10.1.0.0/16"},
                {14, "[policy] concurrency", "expected a whole number from 1 to 1000, found \"0\""},
                {16, "[mcuboot] require_signature", "needs public_keys: without one every image would be refused"},
                {18, "[serial] ports", "\"ttyACM0\" is not an absolute path"},
                {20, "[source a] prefix", "expected https://host[:port]/path/ with a slash at the end, without user and query"},
                {21, "[source a] user", "user and password_file belong together"},
                {22, "[source b] prefix", "must be given"},
                {23, "[device d] driver", "must be given"},
                {24, "[device d] model", "expected 1 to 63 characters of A-Z a-z 0-9 _ . , @ / + -"},
                {26, "[https] url", "expected https://host[:port]/path without user and query"},
                {27, "[https] events_url", "expected https://host[:port]/path without user"},
                {30, "[https] client_key", "client_cert and client_key belong together"},
                {32, "[notify] on", "\"finished\" is not one of paused, completed, canceled, superseded, expired, job-failed"},
                {33, "[notify] command", "expected an absolute path, found \"notice\""},
                {35, "[ble] adapters", "\"usb\" is not `all`, a name such as hci0 or an address"},
                {36, "[ble] pairing", "passkey needs passkey_file"},
        };
        _cleanup_config_errors_ struct config_errors errors = CONFIG_ERRORS_INIT;
        _cleanup_settings_ struct settings *settings = parsed("[gatway]\n"                    /* 1 */
                                                              "[nothing-like-it]\n"           /* 2 */
                                                              "[device]\n"                    /* 3 */
                                                              "[log x]\n"                     /* 4 */
                                                              "[gateway]\n"                   /* 5 */
                                                              "id = UPPER\n"                  /* 6 */
                                                              "groups = a B\n"                /* 7 */
                                                              "auto_adopt = none smp-udp\n"   /* 8 */
                                                              "stat_dir = /x\n"               /* 9 */
                                                              "[artifacts]\n"                 /* 10 */
                                                              "max_size = 1G\n"               /* 11 */
                                                              "allow_private = 10.0.0.1/8\n"  /* 12 */
                                                              "[policy]\n"                    /* 13 */
                                                              "concurrency = 0\n"             /* 14 */
                                                              "[mcuboot]\n"                   /* 15 */
                                                              "require_signature = yes\n"     /* 16 */
                                                              "[serial]\n"                    /* 17 */
                                                              "ports = ttyACM0\n"             /* 18 */
                                                              "[source a]\n"                  /* 19 */
                                                              "prefix = https://fw.example\n" /* 20 */
                                                              "user = me\n"                   /* 21 */
                                                              "[source b]\n"                  /* 22 */
                                                              "[device d]\n"                  /* 23 */
                                                              "model = a b\n"                 /* 24 */
                                                              "[https]\n"                     /* 25 */
                                                              "url = https://a.example/?x\n"  /* 26 */
                                                              "events_url = http://a/e\n"     /* 27 */
                                                              "bearer_file = /x\n"            /* 28 */
                                                              "ca_file = /y\n"                /* 29 */
                                                              "client_key = /k\n"             /* 30 */
                                                              "[notify]\n"                    /* 31 */
                                                              "on = paused finished\n"        /* 32 */
                                                              "command = notice\n"            /* 33 */
                                                              "[ble]\n"                       /* 34 */
                                                              "adapters = hci1 usb\n"         /* 35 */
                                                              "pairing = passkey\n",          /* 36 */
                                                              &errors);

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows) && i < errors.n_items; i++) {
                const struct config_error *error = &errors.items[i];

                if (error->line != rows[i].line)
                        fail_msg("%u %s: %s instead of line %u", error->line, error->where, error->text, rows[i].line);
                assert_string_equal(error->where, rows[i].where);
                assert_string_equal(error->text, rows[i].text);
        }
        assert_int_equal(errors.n_items, ARRAY_SIZE(rows));
        assert_non_null(settings);
}

static void test_maintenance_windows(void **state) {
        static const struct {
                const char *value, *why;
        } rows[] = {
                {"mon 22:00", "expected a time zone such as Europe/Oslo at the end"},
                {"22:00 7h UTC; monday 22:00 7h UTC", "expected days such as mon,wed-fri, or a time such as 22:00"},
                {"22:00 7h Europe/Bergen; 23:00 1h UTC", "there is no time zone Europe/Bergen in /usr/share/zoneinfo (package tzdata)"},
        };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_config_errors_ struct config_errors errors = CONFIG_ERRORS_INIT;
                _cleanup_settings_ struct settings *settings = NULL;
                char text[256];

                str_format(text, sizeof(text), "[policy]\nmaintenance_windows = %s\n", rows[i].value);
                settings = parsed(text, &errors);
                assert_int_equal(errors.n_items, 1);
                assert_int_equal(errors.items[0].line, 2);
                assert_string_equal(errors.items[0].where, "[policy] maintenance_windows");
                assert_string_equal(errors.items[0].text, rows[i].why);
        }
}

static const struct gw_setting driver_table[] = {
        {.key = "mtu", .type = GW_SETTING_INTEGER, .minimum = 20, .maximum = 1472, .value = "1472"},
        {.key = NULL},
};

static bool knows(void *context, const char *name) {
        return strcmp(name, context) == 0;
}

static void test_device_and_plugin_tables(void **state) {
        _cleanup_config_errors_ struct config_errors errors = CONFIG_ERRORS_INIT;
        _cleanup_settings_ struct settings *settings = good(full);
        _cleanup_(setting_values_freep) struct gw_settings *values = NULL, *defaults = NULL, *wrong = NULL, *plugin = NULL;
        char known[] = "smp-udp", other[] = "other";

        (void) state;
        assert_int_equal(settings_device_values(settings, settings_device_find(settings, "kitchen"), driver_table, &errors, &values), 0);
        assert_int_equal(setting_number(values, "mtu"), 500);
        assert_int_equal(settings_device_values(settings, NULL, driver_table, &errors, &defaults), 0);
        assert_int_equal(setting_number(defaults, "mtu"), 1472);
        settings_check_names(settings, knows, knows, known, &errors);
        assert_false(config_errors_any(&errors));
        /* Without the driver's table its key is unknown; [plugin exec] is checked under the plugin's own. */
        assert_int_equal(settings_device_values(settings, settings_device_find(settings, "kitchen"), NULL, &errors, &wrong), 0);
        assert_int_equal(settings_plugin_values(settings, "exec", driver_table, &errors, &plugin), 0);
        settings_check_names(settings, knows, knows, other, &errors);
        assert_int_equal(errors.n_items, 3);
        assert_string_equal(errors.items[0].where, "[device kitchen] mtu");
        assert_string_equal(errors.items[1].where, "[plugin exec] timeout");
        assert_string_equal(errors.items[2].text, "no plugin brings a driver \"smp-udp\"");
}

static void test_sources(void **state) {
        static const struct {
                const char *url;
                const char *source;
        } rows[] = {
                {"https://fw.example/acme/a.bin", "acme"},
                {"HTTPS://FW.Example/acme/a.bin", "acme"},
                {"https://fw.example/acme/beta/a.bin", "acme-beta"},
                {"https://fw.example/acme", NULL},
                {"https://fw.example/ACME/a.bin", NULL},
                {"https://fw.example/other/a.bin", NULL},
                {"https://fw.example.evil/acme/a.bin", NULL},
                {"https://fw.example:8443/acme/a.bin", NULL},
                {"http://fw.example/acme/a.bin", NULL},
                {"https://fw.example/acme/../other/a.bin", NULL},
                {"https://fw.example/acme/%2E%2e/other/a.bin", NULL},
                {"https://fw.example/acme/..", NULL},
                {"https://fw.example/acme/beta\\..\\x", NULL},
                {"", NULL},
        };
        _cleanup_settings_ struct settings *settings = good(full);

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                const struct settings_source *source = settings_source_find(settings, rows[i].url);

                if (!str_equal(source ? source->name : NULL, rows[i].source))
                        fail_msg("%s: %s", rows[i].url, source ? source->name : "none");
        }
}

static bool allowed(const struct settings *settings, const char *text) {
        struct sockaddr_in address = {.sin_family = AF_INET};

        assert_int_equal(inet_pton(AF_INET, text, &address.sin_addr), 1);
        return settings_address_allowed(settings, (struct sockaddr *) &address);
}

static void test_addresses(void **state) {
        _cleanup_settings_ struct settings *closed = good(""), *some = good(full), *lan = good("[artifacts]\nallow_private = private\n");

        (void) state;
        assert_true(allowed(closed, "1.1.1.1"));
        assert_false(allowed(closed, "127.0.0.1"));
        assert_false(allowed(closed, "192.168.1.1"));
        assert_true(allowed(some, "127.0.0.1"));
        assert_true(allowed(some, "10.1.2.3"));
        assert_false(allowed(some, "10.2.2.3"));
        assert_true(allowed(lan, "192.168.1.1"));
        assert_false(allowed(lan, "127.0.0.1"));
        assert_false(allowed(lan, "0.0.0.0"));
}

static void test_auto_adopt(void **state) {
        _cleanup_settings_ struct settings *unset = good(""), *named = good(full), *none = good("[gateway]\nauto_adopt = none\n");

        (void) state;
        assert_true(settings_auto_adopt(unset, "smp-serial", true));
        assert_false(settings_auto_adopt(unset, "smp-udp", false));
        assert_true(settings_auto_adopt(named, "smp-serial", false));
        assert_false(settings_auto_adopt(named, "smp-udp", true));
        assert_false(settings_auto_adopt(none, "smp-serial", true));
        assert_false(settings_auto_adopt(none, "none", true));
}

static void record_change(void *context, const char *section, const char *key, bool needs_restart) {
        strbuf_appendf(context, "%s %s%s;", section, key, needs_restart ? "!" : "");
}

static void test_diff(void **state) {
        _cleanup_strbuf_ struct strbuf changes = STRBUF_INIT(4096);
        _cleanup_settings_ struct settings *before = good("[log]\nlevel = info\n[gateway]\nid = a\n[device x]\ndriver = d\nbaud = 1\n"
                                                          "[source s]\nprefix = https://a/\n");
        _cleanup_settings_ struct settings *after = good("[gateway]\nid = b\n[policy]\nattempts = 4\n[device x]\ndriver = d\nbaud = 2\n"
                                                         "[device y]\ndriver = d\n");

        (void) state;
        assert_int_equal(settings_diff(before, before, record_change, &changes), 0);
        assert_string_equal(strbuf_text(&changes), "");
        /* [log] level = info was the default: nothing changes when it goes. */
        assert_int_equal(settings_diff(before, after, record_change, &changes), 3);
        assert_string_equal(strbuf_text(&changes), "[gateway] id!;[policy] attempts;[device x] baud!;[source s] ;[device y] !;");
}

static void test_load_files(void **state) {
        _cleanup_config_errors_ struct config_errors errors = CONFIG_ERRORS_INIT;
        _cleanup_settings_ struct settings *settings = NULL, *missing = NULL;
        char path[] = "/tmp/gatewayd-settings-XXXXXX";
        int fd = mkstemp(path);

        (void) state;
        assert_true(fd >= 0);
        assert_int_equal(write(fd, "[gateway]\nid = x\n", 17), 17);
        close(fd);
        assert_int_equal(settings_load(path, &errors, &settings), 0);
        assert_string_equal(settings->gateway.id, "x");
        assert_false(config_errors_any(&errors));
        unlink(path);
        assert_int_equal(settings_load(path, &errors, &missing), 0);
        assert_int_equal(errors.n_items, 1);
        assert_string_equal(errors.items[0].text, "cannot be read: No such file or directory");
        assert_string_equal(missing->gateway.id, "");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_defaults),
                cmocka_unit_test(test_full),
                cmocka_unit_test(test_https_and_notify),
                cmocka_unit_test(test_sources),
                cmocka_unit_test(test_every_mistake_at_once),
                cmocka_unit_test(test_maintenance_windows),
                cmocka_unit_test(test_addresses),
                cmocka_unit_test(test_device_and_plugin_tables),
                cmocka_unit_test(test_auto_adopt),
                cmocka_unit_test(test_diff),
                cmocka_unit_test(test_load_files),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
