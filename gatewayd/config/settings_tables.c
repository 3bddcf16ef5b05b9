/* SPDX-License-Identifier: Apache-2.0 */
#include "config/settings.h"

#include <string.h>

#include "base/limits.h"

/*
 * Every section and key of gatewayd.conf. docs/CONFIGURATION.md and etc/gatewayd.conf are held against these tables by
 * settings_manual_test: a key that is missing there, or another default, fails it.
 */

#define SECOND ((int64_t) 1000)
#define MINUTE (60 * SECOND)
#define DAY (24 * 60 * MINUTE)
#define KIB ((int64_t) 1024)
#define MIB (1024 * KIB)
#define TIB (1024 * 1024 * MIB)

#define TEXT(key_, default_, text_)                                                                                                        \
        { .key = key_, .type = GW_SETTING_STRING, .value = default_, .text = text_ }
#define PATH(key_, default_, text_)                                                                                                        \
        { .key = key_, .type = GW_SETTING_PATH, .value = default_, .text = text_ }
#define BOOL(key_, default_, text_)                                                                                                        \
        { .key = key_, .type = GW_SETTING_BOOL, .value = default_, .text = text_ }
#define LIST(key_, default_, text_)                                                                                                        \
        { .key = key_, .type = GW_SETTING_LIST, .value = default_, .text = text_ }
#define ENUM(key_, choices_, default_, text_)                                                                                              \
        { .key = key_, .type = GW_SETTING_ENUM, .choices = choices_, .value = default_, .text = text_ }
#define INTEGER(key_, min_, max_, default_, text_)                                                                                         \
        { .key = key_, .type = GW_SETTING_INTEGER, .minimum = min_, .maximum = max_, .value = default_, .text = text_ }
#define DURATION(key_, min_, max_, default_, text_)                                                                                        \
        { .key = key_, .type = GW_SETTING_DURATION, .minimum = min_, .maximum = max_, .value = default_, .text = text_ }
#define SIZE(key_, min_, max_, default_, text_)                                                                                            \
        { .key = key_, .type = GW_SETTING_SIZE, .minimum = min_, .maximum = max_, .value = default_, .text = text_ }
#define END                                                                                                                                \
        { .key = NULL }

static const struct gw_setting gateway_table[] = {
        TEXT("id", NULL, "Name of this gateway, [a-z0-9-], at most 63. Default: the host name and six digits of the machine id."),
        LIST("groups", NULL,
             "Groups of gateways that this one belongs to, [a-z0-9-], for campaigns with `group:<name>` in their audience."),
        PATH("state_dir", "/var/lib/gatewayd", "Where the database and the artifact cache live."),
        PATH("control_socket", "/run/gatewayd/control.sock", "The socket of gatewayctl."),
        TEXT("control_group", "gatewayd", "Members of this group may do everything over the control socket; others only read."),
        PATH("adoption_list", NULL, "CSV file of adopted devices, read at every start."),
        LIST("auto_adopt", "default",
             "Drivers whose devices are adopted as soon as they are discovered; `default` leaves it to each driver, `none` to nobody."),
        PATH("plugin_dir", "/usr/lib/gatewayd/plugins", "Where plugins are loaded from; it and they must belong to root."),
        END,
};

static const struct gw_setting log_table[] = {
        ENUM("level", "error|warning|notice|info|debug", "info", "The least important messages that are still logged."),
        END,
};

static const struct gw_setting artifacts_table[] = {
        SIZE("quota", MIB, 64 * TIB, "512M", "Room for all cached files together; what live work needs is never removed."),
        SIZE("reserve", 0, 64 * TIB, "128M", "Room on the file system that stays free whatever happens."),
        SIZE("max_size", KIB, 64 * TIB, "64M", "The largest single file."),
        SIZE("rate_limit", 0, TIB, "0", "Bytes a second for all downloads together; 0 is no limit."),
        DURATION("connect_timeout", SECOND, 10 * MINUTE, "30 s", "For name, connection and TLS."),
        DURATION("stall_timeout", SECOND, 60 * MINUTE, "60 s", "A download that gets no byte for so long is given up and resumed."),
        LIST("allow_private", NULL,
             "Servers that are not public and still allowed: `loopback`, `private` (everything else that is not public), or ranges such as "
             "10.1.0.0/16."),
        END,
};

static const struct gw_setting trust_table[] = {
        PATH("keys_dir", "/etc/gatewayd/keys",
             "Public keys that may sign campaigns and commands, one file a key, `<kid>.pub`; only its owner may write to it."),
        PATH("ca_file", NULL, "PEM file of the authorities that servers are checked against; default is the system's."),
        DURATION("certificate_warning", 0, 365 * DAY, "14 d",
                 "A certificate, of a server or our own, that expires within this time is warned about once a day and in the health document."),
        END,
};

static const struct gw_setting https_table[] = {
        TEXT("url", NULL,
             "Where the lists of campaigns lie: https://host/path. `/gw/<gateway>.json`, `/group/<group>.json` and `/all.json` below it are read."),
        DURATION("poll_interval", SECOND, 7 * DAY, "5 min", "Time between two looks at the lists, give or take a fifth."),
        TEXT("events_url", NULL, "Where events are posted in batches."),
        PATH("bearer_file", NULL, "File with a bearer token, mode 0600."),
        PATH("client_cert", NULL, "PEM certificate for TLS; needs client_key."),
        PATH("client_key", NULL, "PEM key for TLS, mode 0600."),
        PATH("ca_file", NULL, "Authorities for these servers alone, in place of the one in [trust]."),
        END,
};

static const struct gw_setting notify_table[] = {
        LIST("on", "paused completed",
             "What is told: campaigns that are `paused`, `completed`, `canceled`, `superseded` or `expired`, and `job-failed`, every device "
             "that ends without success."),
        PATH("command", NULL, "Program that is run for each, without a shell, with a JSON document on its standard input."),
        TEXT("webhook", NULL, "HTTPS URL that the document is posted to."),
        PATH("bearer_file", NULL, "File with a bearer token for the webhook, mode 0600."),
        PATH("ca_file", NULL, "Authorities for the webhook alone, in place of the one in [trust]."),
        DURATION("timeout", SECOND, 10 * MINUTE, "30 s", "After so long the program is ended, or the request given up."),
        END,
};

static const struct gw_setting mqtt_table[] = {
        TEXT("url", NULL, "The broker: mqtts://host[:port]; mqtt:// without TLS only for a broker at localhost. Without it there is no such door."),
        TEXT("root", "gatewayd", "What all topics begin with; the broker's ACL must name the same."),
        TEXT("user", NULL, "User name at the broker, the gateway id where the ACL of etc/mosquitto is used; needs password_file."),
        PATH("password_file", NULL, "File with the password, mode 0600."),
        PATH("client_cert", NULL, "PEM certificate for TLS; needs client_key. Its common name is the gateway id where the broker takes it as the user name."),
        PATH("client_key", NULL, "PEM key for TLS, mode 0600."),
        PATH("ca_file", NULL, "Authorities for the broker alone, in place of the one in [trust]."),
        DURATION("keepalive", 5 * SECOND, 18 * 60 * MINUTE, "60 s", "After so long without a message the connection is tried; shorter than what a firewall or NAT between forgets it in."),
        DURATION("session_expiry", 0, 365 * DAY, "7 d", "How long the broker keeps messages for a gateway that is away; 0: not at all."),
        DURATION("progress_interval", SECOND, 60 * MINUTE, "5 s", "Status and campaign documents are published at most so often while work goes on."),
        BOOL("unsigned_stop", "yes",
             "May campaigns be paused and canceled over MQTT without a signature? Whoever may speak there may stop, then."),
        END,
};

static const struct gw_setting policy_table[] = {
        ENUM("mode", "test-and-confirm|confirm-only|test-only|upload-only", "test-and-confirm",
             "How devices are brought to the new image."),
        INTEGER("concurrency", 1, 1000, "3", "Devices of one campaign that are updated at once."),
        INTEGER("attempts", 1, 100, "5", "Attempts for one device."),
        DURATION("deadline", MINUTE, 180 * DAY, "14 d", "Time from acceptance after which what is not done is given up."),
        DURATION("trial", 0, DAY, "60 s", "How long a new image runs on trial before it is confirmed."),
        INTEGER("trial_checks", 1, 100, "2", "How often it is looked at during that time."),
        TEXT("maintenance_windows", NULL,
             "When devices may be updated, whatever a campaign says: `[DAYS] START DURATION TIMEZONE`, several separated by `;`, such as "
             "`mon-fri 22:00 7h Europe/Oslo; sat,sun 08:00 10h Europe/Oslo`. A campaign's own windows are intersected with these."),
        END,
};

static const struct gw_setting limits_table[] = {
        INTEGER("jobs", 1, JOBS_RUNNING_MAX, "256", "Devices that are updated at once, all campaigns together."),
        INTEGER("devices", 1, 100000, "10000", "Devices that are known at once; what is discovered beyond is not kept."),
        INTEGER("events", 100, 1000000, "10000", "Events that are kept for gatewayctl watch and audit tools."),
        INTEGER("outbox", 100, 10000000, "100000", "Events that may wait for a door before new campaigns are refused (`outbox-full`)."),
        INTEGER("audit_rows", 1000, 10000000, "200000", "Rows of the audit log; the oldest go first."),
        DURATION("audit_age", DAY, 3650 * DAY, "730 d", "Age at which rows of the audit log go."),
        END,
};

static const struct gw_setting serial_table[] = {
        LIST("ports", "/dev/ttyACM* /dev/ttyUSB*",
             "Serial ports to look at, as paths or globs; a port in a [device] section need not be here."),
        PATH("sysfs_root", "/sys", "Where serial numbers of USB devices are read; only tests change it."),
        END,
};

static const struct gw_setting ble_table[] = {
        LIST("adapters", "all", "Bluetooth adapters that may be used, by name (hci0) or address; `all`."),
        INTEGER("sessions", 1, 20, "3", "Devices that one adapter is connected to at once."),
        INTEGER("attempts", 1, 20, "5", "How often a connection is tried before that counts as a failure."),
        BOOL("power", "no", "Switch an adapter on when it appears; what is blocked by rfkill stays off."),
        ENUM("pairing", "never|just-works|passkey", "never",
             "How far `device pair` may go: not at all, without a proof of who is on the other side, or only with a passkey."),
        PATH("passkey_file", NULL, "The passkeys, one line a device: `<key or address> <6 digits>`. Mode 0600, owned by gatewayd's user."),
        END,
};

static const struct gw_setting mcuboot_table[] = {
        LIST("public_keys", NULL, "PEM files of public keys that MCUboot images are checked against before a byte is sent."),
        BOOL("require_signature", "no", "Refuse images that are not signed by one of these keys."),
        END,
};

static const struct gw_setting source_table[] = {
        TEXT("prefix", NULL, "URLs that begin with it use these credentials: https://host[:port]/path/, with a slash at the end."),
        TEXT("user", NULL, "Name for HTTP basic authentication; needs password_file."),
        PATH("password_file", NULL, "File with the password, mode 0600."),
        PATH("bearer_file", NULL, "File with a bearer token, mode 0600."),
        PATH("client_cert", NULL, "PEM certificate for TLS; needs client_key."),
        PATH("client_key", NULL, "PEM key for TLS, mode 0600."),
        PATH("ca_file", NULL, "Authorities for this server alone, in place of the one in [trust]."),
        END,
};

static const struct gw_setting device_table[] = {
        TEXT("driver", NULL, "The driver that works it, such as smp-serial or smp-udp. Must be given."),
        TEXT("address", NULL, "Where it is: a tty, or host:port. A port found by its USB serial number needs none."),
        TEXT("model", NULL, "Its hardware, such as acme,sensor-r2, where the firmware does not say."),
        LIST("labels", NULL, "Labels to select it by."),
        END,
};

static const struct gw_setting plugin_table[] = {
        BOOL("enabled", "yes", "Load it."),
        END,
};

const struct settings_section_info settings_sections[] = {
        {"gateway", false, gateway_table, "The gateway itself."},
        {"log", false, log_table, "What is logged."},
        {"artifacts", false, artifacts_table, "Fetching and keeping firmware files."},
        {"trust", false, trust_table,
         "Whose signatures count, and whom TLS trusts. docs/KEYS.md tells of the keys; "
         "they are read again at every reload."},
        {"https", false, https_table, "The HTTPS door: campaigns from lists on a web server, events to a URL. Both are optional."},
        {"notify", false, notify_table, "Whom to tell when something needs a person."},
        {"mqtt", false, mqtt_table, "The door to an MQTT broker."},
        {"policy", false, policy_table, "What holds where a campaign does not say otherwise."},
        {"limits", false, limits_table, "Bounds that keep the machine alive."},
        {"serial", false, serial_table, "Serial ports."},
        {"ble", false, ble_table, "Bluetooth Low Energy, through BlueZ. Nothing is done with it unless a driver wants it."},
        {"mcuboot", false, mcuboot_table, "Checks of MCUboot images on the gateway."},
        {"source", true, source_table, "One server of firmware files and its credentials, which are sent nowhere else."},
        {"device", true, device_table,
         "A device that cannot be discovered, or needs to be told something. Its driver may know more keys: see its README."},
        {"plugin", true, plugin_table, "A plugin. It may know more keys: see its README."},
};

const size_t n_settings_sections = ARRAY_SIZE(settings_sections);

bool settings_is_live(const char *kind, const char *key) {
        /* What is asked at each use may change; what was handed out, opened or sized at start may not. */
        static const char *const live_kinds[] = {"log", "artifacts", "trust", "policy", "mcuboot", "source"};
        static const char *const live_gateway_keys[] = {"groups", "control_group", "adoption_list", "auto_adopt"};

        if (strcmp(kind, "mqtt") == 0 && strcmp(key, "unsigned_stop") == 0)
                return true;
        for (size_t i = 0; i < ARRAY_SIZE(live_kinds); i++)
                if (strcmp(kind, live_kinds[i]) == 0)
                        return true;
        for (size_t i = 0; strcmp(kind, "gateway") == 0 && i < ARRAY_SIZE(live_gateway_keys); i++)
                if (strcmp(key, live_gateway_keys[i]) == 0)
                        return true;
        return false;
}
