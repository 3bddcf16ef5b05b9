/* SPDX-License-Identifier: Apache-2.0 */
#include "api/diagnose.h"

#include <grp.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/str.h"
#include "loop/serial_ports.h"

/*
 * Who holds a port open is read from /proc, as far as it shows: all processes for root, else those of our own user. ModemManager
 * shows by its name alone; it is the usual one that talks to every new port.
 */
struct holders {
        char **paths;      /* of the ports, canonical */
        char (*names)[64]; /* the process that holds it, "" nobody seen */
        size_t n_ports;
        bool modem_manager;
};

static void collect(void *ctx, const struct gw_serial_port *port) {
        struct holders *holders = ctx;
        char *path = realpath(port->path, NULL);
        if (!path)
                return;
        if (holders->n_ports >= SERIAL_PORTS_MAX) {
                free(path);
                return;
        }
        holders->paths[holders->n_ports++] = path;
}

static bool is_number(const char *text) {
        return text[0] && strspn(text, "0123456789") == strlen(text);
}

static int read_process_name(const char *pid, char *dst, size_t size) {
        char path[64];
        _cleanup_fclose_ FILE *file = NULL;
        (void) str_format(path, sizeof path, "/proc/%.20s/comm", pid);
        file = fopen(path, "re");
        if (!file || !fgets(dst, (int) size, file))
                return -ENOENT;
        dst[strcspn(dst, "\n")] = '\0';
        return 0;
}

static void note_holder(struct holders *holders, const char *target, const char *pid, const char *name) {
        for (size_t i = 0; i < holders->n_ports; i++)
                if (strcmp(holders->paths[i], target) == 0)
                        (void) str_format(holders->names[i], sizeof holders->names[i], "%.30s (process %.20s)", name, pid);
}

static void look_at_process(struct holders *holders, const char *pid, const char *name) {
        char path[64];
        _cleanup_closedir_ DIR *directory = NULL;
        const struct dirent *entry;
        (void) str_format(path, sizeof path, "/proc/%.20s/fd", pid);
        directory = opendir(path);
        while (directory && (entry = readdir(directory))) {
                char target[256];
                ssize_t size = readlinkat(dirfd(directory), entry->d_name, target, sizeof target - 1);
                if (size <= 0)
                        continue;
                target[size] = '\0';
                if (str_starts_with(target, "/dev/"))
                        note_holder(holders, target, pid, name);
        }
}

static void find_holders(struct holders *holders) {
        _cleanup_closedir_ DIR *directory = opendir("/proc");
        const struct dirent *entry;
        char own[24], name[64];
        (void) str_format(own, sizeof own, "%ld", (long) getpid());
        while (directory && (entry = readdir(directory))) {
                if (!is_number(entry->d_name) || strcmp(entry->d_name, own) == 0 || read_process_name(entry->d_name, name, sizeof name) < 0)
                        continue;
                /* The daemon's own ports are not busy for the daemon. */
                if (strcmp(name, "gatewayd") == 0)
                        continue;
                holders->modem_manager |= strcmp(name, "ModemManager") == 0;
                look_at_process(holders, entry->d_name, name);
        }
}

static const char *group_of(const char *path, char *dst, size_t size) {
        struct stat status;
        const struct group *group = stat(path, &status) == 0 ? getgrgid(status.st_gid) : NULL;
        (void) str_copy(dst, size, group ? group->gr_name : "dialout");
        return dst;
}

static void check_port(struct diagnosis *diagnosis, const char *path, const char *holder) {
        char user[64], group[64];
        if (access(path, R_OK | W_OK) < 0) {
                int error = errno;
                (void) own_user(user, sizeof user);
                finding(diagnosis, "ports", FINDING_ERROR, "%s may not open the serial port %s: %s", user, path, strerror(error));
                remedy(diagnosis, "`usermod -a -G %s %s`, then start gatewayd again.", group_of(path, group, sizeof group), user);
        } else if (holder[0]) {
                finding(diagnosis, "ports", FINDING_WARNING, "the serial port %s is held open by %s", path, holder);
                remedy(diagnosis, "End that program, or leave the port out of `ports` in [serial].");
        } else {
                finding(diagnosis, "ports", FINDING_OK, "the serial port %s can be used", path);
        }
}

static void report(struct diagnosis *diagnosis, const struct holders *holders) {
        if (holders->n_ports == 0)
                finding(diagnosis, "ports", FINDING_OK, "there is no serial port that `ports` in [serial] means");
        for (size_t i = 0; i < holders->n_ports; i++)
                check_port(diagnosis, holders->paths[i], holders->names[i]);
        if (holders->n_ports > 0 && holders->modem_manager) {
                finding(diagnosis, "ports", FINDING_WARNING,
                        "ModemManager is running: it talks to serial ports that appear, and boards take that for input");
                remedy(diagnosis, "`systemctl disable --now ModemManager` where no modem needs it, or a udev rule with "
                                  "ENV{ID_MM_DEVICE_IGNORE}=\"1\" for the boards.");
        }
}

void diagnose_ports(struct diagnosis *diagnosis) {
        const struct settings *settings = diagnosis->options->settings;
        struct holders holders = { .paths = calloc(SERIAL_PORTS_MAX, sizeof *holders.paths),
                                   .names = calloc(SERIAL_PORTS_MAX, sizeof *holders.names) };
        if (holders.paths && holders.names) {
                (void) serial_ports_list((const char *const *) settings->serial.ports.items, settings->serial.ports.n_items,
                                         settings->serial.sysfs_root[0] ? settings->serial.sysfs_root : NULL, collect, &holders);
                if (holders.n_ports > 0)
                        find_holders(&holders);
                report(diagnosis, &holders);
        }
        for (size_t i = 0; i < holders.n_ports; i++)
                free(holders.paths[i]);
        free(holders.paths);
        free(holders.names);
}
