/* SPDX-License-Identifier: Apache-2.0 */
#include "api/diagnose.h"

#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/certificates.h"
#include "base/clock_credible.h"
#include "base/str.h"
#include "ble/ble.h"
#include "trust/keyring.h"

GW_PRINTF(4, 5) void finding(struct diagnosis *diagnosis, const char *check, enum finding_level level, const char *format, ...) {
        static const char *const names[] = { [FINDING_OK] = "ok", [FINDING_WARNING] = "warning", [FINDING_ERROR] = "error" };
        struct json *json = json_append_new_object(diagnosis->findings);
        char text[FINDING_TEXT_SIZE];
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(text, sizeof text, format, arguments);
        va_end(arguments);
        json_set_string(json, "check", check);
        json_set_string(json, "level", names[level]);
        json_set_string(json, "text", text);
        diagnosis->last = json;
}

GW_PRINTF(2, 3) void remedy(struct diagnosis *diagnosis, const char *format, ...) {
        char text[FINDING_TEXT_SIZE];
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(text, sizeof text, format, arguments);
        va_end(arguments);
        json_set_string(diagnosis->last, "remedy", text);
}

void remedy_of(struct diagnosis *diagnosis, const char *name) {
        const char *advice = error_advice(diagnosis->options->registry, name);
        if (advice)
                remedy(diagnosis, "%s", advice);
}

const char *own_user(char *dst, size_t size) {
        const struct passwd *user = getpwuid(geteuid());
        if (user)
                (void) str_copy(dst, size, user->pw_name);
        else
                (void) str_format(dst, size, "uid %u", (unsigned) geteuid());
        return dst;
}

/* --- the state directory and its disk --- */

static void check_disk(struct diagnosis *diagnosis) {
        const struct settings *settings = diagnosis->options->settings;
        const char *path = settings->gateway.state_dir;
        char free_text[32], reserve_text[32], quota_text[32];
        struct statvfs disk;
        uint64_t free_bytes;
        if (statvfs(path, &disk) < 0)
                return; /* check_state_dir() says why */
        free_bytes = (uint64_t) disk.f_bavail * disk.f_frsize;
        (void) str_format(free_text, sizeof free_text, "%" PRIu64 " MiB", free_bytes >> 20);
        (void) str_format_size(reserve_text, sizeof reserve_text, settings->artifacts.reserve_bytes);
        (void) str_format_size(quota_text, sizeof quota_text, settings->artifacts.quota_bytes);
        if (disk.f_flag & ST_RDONLY) {
                finding(diagnosis, "disk", FINDING_ERROR, "the file system of %s is mounted read-only", path);
                remedy(diagnosis,
                       "Look at `journalctl -k`: a failing SD card is often remounted read-only. Replace it or repair the file system.");
        } else if (free_bytes < settings->artifacts.reserve_bytes) {
                finding(diagnosis, "disk", FINDING_ERROR, "%s are free below %s, less than the reserve of %s: no file is fetched",
                        free_text, path, reserve_text);
                remedy_of(diagnosis, "disk-full");
        } else if (free_bytes - settings->artifacts.reserve_bytes < settings->artifacts.quota_bytes && !diagnosis->options->artifacts) {
                finding(diagnosis, "disk", FINDING_WARNING,
                        "%s are free below %s; beyond the reserve that is less than the cache may take (%s)", free_text, path, quota_text);
                remedy(diagnosis, "Free space, or lower `quota` in [artifacts].");
        } else {
                finding(diagnosis, "disk", FINDING_OK, "%s are free below %s (reserve %s)", free_text, path, reserve_text);
        }
        if (disk.f_files > 0 && disk.f_favail < 100) {
                finding(diagnosis, "disk", FINDING_ERROR, "the file system of %s has no room for more files (inodes)", path);
                remedy(diagnosis, "`df -i`; delete files that are not needed.");
        }
}

static void check_state_dir(struct diagnosis *diagnosis) {
        const char *path = diagnosis->options->settings->gateway.state_dir;
        char user[64];
        struct stat status;
        (void) own_user(user, sizeof user);
        if (stat(path, &status) < 0) {
                finding(diagnosis, "state", FINDING_ERROR, "the state directory %s cannot be used: %s", path, strerror(errno));
                remedy(diagnosis, "`install -d -o %s -m 0700 %s`, or start gatewayd by systemd, which makes it.", user, path);
        } else if (!S_ISDIR(status.st_mode)) {
                finding(diagnosis, "state", FINDING_ERROR, "%s is no directory", path);
                remedy(diagnosis, "Correct `state_dir` in [gateway].");
        } else if (access(path, R_OK | W_OK | X_OK) < 0) {
                finding(diagnosis, "state", FINDING_ERROR, "%s may not write to the state directory %s", user, path);
                remedy(diagnosis, "`chown -R %s %s`.", user, path);
        } else if (status.st_mode & (S_IWGRP | S_IWOTH)) {
                finding(diagnosis, "state", FINDING_WARNING, "others may write to the state directory %s (mode %04o)", path,
                        (unsigned) status.st_mode & 07777);
                remedy(diagnosis, "`chmod 0700 %s`.", path);
        } else {
                finding(diagnosis, "state", FINDING_OK, "the state directory %s belongs to %s", path, user);
        }
}

/* Typical: gatewayd was once started by hand as root. */
static void check_database(struct diagnosis *diagnosis) {
        const char *directory = diagnosis->options->settings->gateway.state_dir;
        char path[4096], user[64];
        if (str_format(path, sizeof path, "%s/%s", directory, STORE_FILE) < 0 || access(path, F_OK) < 0 || access(path, R_OK | W_OK) == 0)
                return;
        finding(diagnosis, "state", FINDING_ERROR, "%s may not write to the database %s", own_user(user, sizeof user), path);
        remedy(diagnosis, "It was made by another user: `chown -R %s %s`.", user, directory);
}

/* --- clock, plugins, drivers --- */

static void check_clock(struct diagnosis *diagnosis) {
        const struct api_options *options = diagnosis->options;
        const char *state = options->clock_state ? options->clock_state(options->ctx)
                                                 : clock_credible_name(clock_credible_check(time_now_wall_ms(), 0, NULL));
        char text[TIME_RFC3339_SIZE] = "before 1970";
        (void) time_format_rfc3339(text, sizeof text, time_now_wall_ms() / 1000 * 1000);
        if (strcmp(state, "not-credible") == 0) {
                finding(diagnosis, "clock", FINDING_ERROR, "the clock says %s, which cannot be right", text);
                remedy_of(diagnosis, "clock-not-credible");
        } else if (strcmp(state, "plausible") == 0) {
                finding(diagnosis, "clock", FINDING_WARNING, "the clock says %s, but nobody vouches for it", text);
                remedy(diagnosis, "`timedatectl`: let systemd-timesyncd or another NTP client run and reach a server.");
        } else {
                finding(diagnosis, "clock", FINDING_OK, "the clock says %s (%s)", text, state);
        }
}

static void check_plugin(void *ctx, const struct plugin_info *info) {
        struct diagnosis *diagnosis = ctx;
        diagnosis->n_loaded += info->loaded;
        if (info->error) {
                finding(diagnosis, "plugins", FINDING_ERROR, "plugin %s: %s", info->name, info->error->text);
                remedy_of(diagnosis, info->error->name);
        } else if (info->loaded) {
                finding(diagnosis, "plugins", FINDING_OK, "plugin %s %s is loaded", info->name, info->version);
        } else {
                finding(diagnosis, "plugins", FINDING_OK, "plugin %s is switched off", info->name);
        }
}

static void check_driver(void *ctx, const struct gw_driver *driver) {
        struct diagnosis *diagnosis = ctx;
        const struct gw_error *error;
        if (driver_registry_is_started(diagnosis->options->registry, driver->name)) {
                finding(diagnosis, "drivers", FINDING_OK, "driver %s is running", driver->name);
                return;
        }
        error = driver_registry_start_error(diagnosis->options->registry, driver->name);
        finding(diagnosis, "drivers", FINDING_ERROR, "driver %s could not start%s%s", driver->name, error ? ": " : "", error ? error->text : "");
        remedy(diagnosis, "`journalctl -u gatewayd` from its last start says more.");
}

static void check_plugins(struct diagnosis *diagnosis) {
        const struct api_options *options = diagnosis->options;
        if (!options->plugins)
                return;
        plugins_each(options->plugins, check_plugin, diagnosis);
        if (diagnosis->n_loaded == 0) {
                finding(diagnosis, "plugins", FINDING_ERROR, "no plugin is loaded from %s: there is no device that could be updated",
                        options->settings->gateway.plugin_dir);
                remedy(diagnosis, "Install the plugins, or correct `plugin_dir` in [gateway].");
        }
        /* Without a running daemon no driver is started, and that says nothing. */
        if (options->update)
                driver_registry_each(options->registry, check_driver, diagnosis);
}

/* --- who may speak to us --- */

static bool is_served(const char *path) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0 || str_copy(address.sun_path, sizeof address.sun_path, path) < 0)
                return false;
        return connect(fd, (const struct sockaddr *) &address, sizeof address) == 0 || errno == EAGAIN || errno == EACCES;
}

static void check_socket_directory(struct diagnosis *diagnosis, const char *path) {
        const char *slash = strrchr(path, '/');
        char directory[4096], user[64];
        int error;
        if (!slash || str_copy_n(directory, sizeof directory, path, MAX((size_t) (slash - path), (size_t) 1)) < 0 ||
            access(directory, W_OK | X_OK) == 0)
                return;
        error = errno;
        (void) own_user(user, sizeof user);
        finding(diagnosis, "socket", FINDING_ERROR, "%s cannot make the control socket in %s: %s", user, directory, strerror(error));
        remedy(diagnosis, "systemd makes it (RuntimeDirectory= of the unit); by hand: `install -d -o %s -m 0755 %s`.", user, directory);
}

static void check_socket(struct diagnosis *diagnosis) {
        const struct settings *settings = diagnosis->options->settings;
        const char *group = settings->gateway.control_group, *path = settings->gateway.control_socket;
        if (group[0] && !getgrnam(group)) {
                finding(diagnosis, "socket", FINDING_ERROR, "control_group names the group %s, which does not exist", group);
                remedy(diagnosis, "`groupadd --system %s`, or correct `control_group` in [gateway].", group);
        } else if (group[0]) {
                finding(diagnosis, "socket", FINDING_OK, "root, gatewayd's user and the group %s may give commands", group);
        } else {
                finding(diagnosis, "socket", FINDING_OK, "root and gatewayd's user may give commands");
        }
        if (diagnosis->options->update)
                return;
        if (is_served(path)) {
                finding(diagnosis, "socket", FINDING_OK, "a gatewayd serves %s", path);
                return;
        }
        check_socket_directory(diagnosis, path);
        finding(diagnosis, "socket", FINDING_WARNING, "no gatewayd serves %s", path);
        remedy(diagnosis, "`systemctl status gatewayd` says whether and why it ended; `systemctl start gatewayd`.");
}

/* --- files of the configuration --- */

static void check_file(struct diagnosis *diagnosis, const char *check, const char *key, const char *path) {
        char user[64];
        int error;
        if (!path || !path[0])
                return;
        if (access(path, R_OK) == 0) {
                finding(diagnosis, check, FINDING_OK, "%s %s can be read", key, path);
                return;
        }
        error = errno;
        (void) own_user(user, sizeof user);
        finding(diagnosis, check, FINDING_ERROR, "%s names %s, which %s cannot read: %s", key, path, user, strerror(error));
        if (error == ENOENT)
                remedy(diagnosis, "Make the file, or correct `%s` in %s.", key, diagnosis->options->settings->file);
        else
                remedy(diagnosis, "Let %s read it and pass through its folders: `namei -l %s` shows where it ends.", user, path);
}

static void check_credentials(struct diagnosis *diagnosis, const struct settings_credentials *credentials) {
        check_file(diagnosis, "files", "password_file", credentials->password_file);
        check_file(diagnosis, "files", "bearer_file", credentials->bearer_file);
        check_file(diagnosis, "files", "client_cert", credentials->client_cert);
        check_file(diagnosis, "files", "client_key", credentials->client_key);
        check_file(diagnosis, "files", "ca_file", credentials->ca_file);
}

static void check_files(struct diagnosis *diagnosis) {
        const struct settings *settings = diagnosis->options->settings;
        check_file(diagnosis, "files", "adoption_list", settings->gateway.adoption_list);
        check_file(diagnosis, "files", "ca_file", settings->trust.ca_file);
        for (size_t i = 0; i < settings->mcuboot.public_keys.n_items; i++)
                check_file(diagnosis, "files", "public_keys", settings->mcuboot.public_keys.items[i]);
        for (size_t i = 0; i < settings->n_sources; i++)
                check_credentials(diagnosis, &settings->sources[i].credentials);
        check_credentials(diagnosis, &settings->https.credentials);
        check_credentials(diagnosis, &settings->notify.credentials);
        check_file(diagnosis, "files", "command", settings->notify.command);
}

/* As a reload would read them now. */
static void check_keys(struct diagnosis *diagnosis) {
        const char *directory = diagnosis->options->settings->trust.keys_dir;
        _cleanup_keyring_ struct keyring *keyring = NULL;
        struct gw_error err = { 0 };
        if (keyring_load(directory, &keyring, &err) < 0) {
                finding(diagnosis, "keys", FINDING_ERROR, "%s", err.text);
                remedy_of(diagnosis, err.name);
                return;
        }
        finding(diagnosis, "keys", FINDING_OK, "%zu keys in %s may sign campaigns", keyring_count(keyring), directory);
        for (size_t i = 0; i < keyring_fault_count(keyring); i++) {
                const struct keyring_fault *fault = keyring_fault_at(keyring, i);
                finding(diagnosis, "keys", FINDING_WARNING, "the key file %s is left out: %s (%s)", fault->file, fault->error.text, fault->error.name);
                remedy_of(diagnosis, fault->error.name);
        }
}

/* --- what only a running daemon knows --- */

static void check_running(struct diagnosis *diagnosis) {
        const struct api_options *options = diagnosis->options;
        int r = options->store ? store_failure(options->store) : 0;
        if (r < 0) {
                finding(diagnosis, "store", FINDING_ERROR, "the database cannot be written any more: %s", strerror(-r));
                remedy_of(diagnosis, "store-failed");
        } else if (options->store) {
                finding(diagnosis, "store", FINDING_OK, "the database can be written");
        }
        if (options->fleet) {
                struct fleet_counts counts = fleet_count(options->fleet);
                finding(diagnosis, "devices", FINDING_OK, "%zu devices are adopted, %zu discovered", counts.n_adopted, counts.n_discovered);
                if (counts.n_adopted == 0)
                        remedy(diagnosis, "`gatewayctl device scan` looks for devices, `gatewayctl device adopt` takes them in; only "
                                          "adopted ones are updated.");
        }
}

/* --- certificates, as the connections of this daemon have met them --- */

static void find_certificate(void *ctx, const struct certificate_view *view) {
        struct diagnosis *diagnosis = ctx;
        const struct tls_certificate *certificate = view->certificate;
        if (!gw_error_is_set(&view->error)) {
                finding(diagnosis, "certificates", FINDING_OK, "%s (%s) holds for %lld days", certificate->peer, certificate->use,
                        (long long) view->days_left);
                return;
        }
        finding(diagnosis, "certificates", str_equal(view->error.name, "certificate-expires-soon") ? FINDING_WARNING : FINDING_ERROR, "%s: %s", view->error.name,
                view->error.text);
        remedy_of(diagnosis, view->error.name);
}

static int diagnose(const struct api_options *options, const struct gw_error *bluetooth, bool asked, struct json **ret_json) {
        _cleanup_json_ struct json *result = json_new_object();
        struct diagnosis diagnosis = { .options = options };
        diagnosis.findings = result ? json_set_new_array(result, "findings") : NULL;
        if (!diagnosis.findings)
                return -ENOMEM;
        check_state_dir(&diagnosis);
        check_database(&diagnosis);
        check_disk(&diagnosis);
        check_clock(&diagnosis);
        check_plugins(&diagnosis);
        check_keys(&diagnosis);
        diagnose_ports(&diagnosis);
        if (asked)
                diagnose_bluetooth(&diagnosis, bluetooth);
        check_socket(&diagnosis);
        check_files(&diagnosis);
        check_running(&diagnosis);
        certificates_each(options, find_certificate, &diagnosis);
        *ret_json = TAKE_PTR(result);
        return 0;
}

/* --- Bluetooth is asked first, which takes its time --- */

struct api_diagnosis {
        const struct api_options *options;
        void (*done)(void *ctx, int result, struct json *findings);
        void *ctx;
        struct loop_deferral *deferral;
        bool probing;
};

static void finish(struct api_diagnosis *running, const struct gw_error *why, bool asked) {
        struct api_diagnosis copy = *running;
        struct json *result = NULL;
        int r = diagnose(running->options, why, asked, &result);
        free(running);
        copy.done(copy.ctx, r, result);
}

static void probed(void *ctx, const struct gw_error *why) {
        finish(ctx, why, true);
}

/* No Bluetooth; or it is being asked for somebody else, and what is known of it has to do. */
static void not_asked(void *ctx) {
        struct api_diagnosis *running = ctx;
        struct ble *ble = running->options->ble;
        struct gw_error why = { 0 };
        running->deferral = NULL;
        finish(running, ble && ble_state(ble, &why) < 0 ? &why : NULL, ble);
}

int api_diagnose(const struct api_options *options, void (*done)(void *ctx, int result, struct json *findings), void *ctx, struct api_diagnosis **ret_diagnosis) {
        struct api_diagnosis *running = calloc(1, sizeof *running);
        int r = running ? 0 : -ENOMEM;
        if (r < 0)
                return r;
        *running = (struct api_diagnosis){ .options = options, .done = done, .ctx = ctx };
        running->probing = options->ble && ble_probe(options->ble, probed, running) >= 0;
        if (!running->probing)
                r = loop_defer(options->loop, not_asked, running, &running->deferral);
        if (r < 0)
                free(running);
        else
                *ret_diagnosis = running;
        return r;
}

void api_diagnose_cancel(struct api_diagnosis *running) {
        if (!running)
                return;
        if (running->probing)
                ble_probe_cancel(running->options->ble);
        loop_defer_cancel(running->deferral);
        free(running);
}
