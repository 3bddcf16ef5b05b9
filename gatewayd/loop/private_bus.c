/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/private_bus.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"

extern char **environ;

static const char configuration[] = "<busconfig><type>session</type><listen>unix:path=%s/bus</listen><auth>EXTERNAL</auth>"
                                    "<policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/><allow eavesdrop=\"true\"/>"
                                    "<allow own=\"*\"/></policy></busconfig>";

static void fail(const char *what) {
        perror(what);
        abort();
}

void private_bus_start(struct private_bus *bus) {
        char option[96], line[8];
        char *const arguments[] = { (char *) "dbus-daemon", option, (char *) "--nofork", (char *) "--nopidfile", (char *) "--print-pid=1", NULL };
        posix_spawn_file_actions_t actions;
        int ends[2];

        str_format(option, sizeof option, "--config-file=%s/conf", bus->folder);
        if (pipe2(ends, O_CLOEXEC) < 0)
                fail("pipe");
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
        if (posix_spawnp(&bus->pid, arguments[0], &actions, NULL, arguments, environ) != 0)
                fail("dbus-daemon");
        posix_spawn_file_actions_destroy(&actions);
        close(ends[1]);
        /* It tells its pid once it listens. */
        if (read(ends[0], line, sizeof line) <= 0)
                fail("dbus-daemon did not start");
        close(ends[0]);
}

void private_bus_init(struct private_bus *bus) {
        char path[80];
        FILE *file;

        *bus = (struct private_bus){ .folder = "/tmp/gatewayd-bus-XXXXXX" };
        if (!mkdtemp(bus->folder))
                fail("mkdtemp");
        str_format(path, sizeof path, "%s/conf", bus->folder);
        file = fopen(path, "we");
        if (!file || fprintf(file, configuration, bus->folder) < 0 || fclose(file) != 0)
                fail(path);
        str_format(bus->address, sizeof bus->address, "unix:path=%s/bus", bus->folder);
        private_bus_start(bus);
}

void private_bus_stop(struct private_bus *bus) {
        char path[80];

        if (bus->pid <= 0)
                return;
        kill(bus->pid, SIGTERM);
        waitpid(bus->pid, NULL, 0);
        bus->pid = 0;
        str_format(path, sizeof path, "%s/bus", bus->folder);
        unlink(path);
}

void private_bus_deinit(struct private_bus *bus) {
        char path[80];

        private_bus_stop(bus);
        str_format(path, sizeof path, "%s/conf", bus->folder);
        unlink(path);
        rmdir(bus->folder);
}
