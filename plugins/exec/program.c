/* SPDX-License-Identifier: Apache-2.0 */
#include "program.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int check_place(const char *path, struct gw_error *err) {
        struct stat status;

        if (stat(path, &status) < 0) {
                gw_error_set(err, "exec-not-found", "%.300s: %s", path, strerror(errno));
                return -ENOENT;
        }
        if (status.st_uid != 0 && status.st_uid != geteuid()) {
                gw_error_set(err, "exec-not-safe", "%.300s belongs to uid %u, neither to root nor to this daemon's user", path,
                             status.st_uid);
                return -EPERM;
        }
        if ((status.st_mode & (S_IWGRP | S_IWOTH)) && !(S_ISDIR(status.st_mode) && (status.st_mode & S_ISVTX))) {
                gw_error_set(err, "exec-not-safe", "%.300s may be written by others (mode %04o)", path, status.st_mode & 07777);
                return -EPERM;
        }
        return 0;
}

/* From the file up to the root. */
static int check_way(const char *resolved, struct gw_error *err) {
        char path[PATH_MAX];
        int r = check_place(resolved, err);

        memcpy(path, resolved, strlen(resolved) + 1);
        while (r == 0 && strcmp(path, "/") != 0) {
                char *slash = strrchr(path, '/');

                slash[slash == path] = '\0';
                r = check_place(path, err);
        }
        return r;
}

int program_check(const char *program, char ret_resolved[PATH_MAX], struct gw_error *err) {
        char resolved[PATH_MAX];
        struct stat status;
        int r;

        if (!program || program[0] != '/') {
                gw_error_set(err, "exec-not-found", "no `program` is set in the section of this device");
                return -ENOENT;
        }
        if (!realpath(program, resolved) || stat(resolved, &status) < 0) {
                gw_error_set(err, "exec-not-found", "%.300s: %s", program, strerror(errno));
                return -ENOENT;
        }
        if (!S_ISREG(status.st_mode) || access(resolved, X_OK) < 0) {
                gw_error_set(err, "exec-not-found", "%.300s is no file that may be executed", resolved);
                return -EACCES;
        }
        r = check_way(resolved, err);
        if (r == 0)
                memcpy(ret_resolved, resolved, strlen(resolved) + 1);
        return r;
}
