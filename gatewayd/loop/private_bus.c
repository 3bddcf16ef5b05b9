/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/private_bus.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"

static const char configuration[] = "<busconfig><type>session</type><listen>unix:path=%s/bus</listen><auth>EXTERNAL</auth>"
                                    "<policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/><allow eavesdrop=\"true\"/>"
                                    "<allow own=\"*\"/></policy></busconfig>";

static void fail(const char *what) {
        perror(what);
        abort();
}

/* It ends with the test, however that ends. */
static void become_daemon(const char *folder, int told) {
        char option[96];

        str_format(option, sizeof option, "--config-file=%s/conf", folder);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(told, 1);
        execlp("dbus-daemon", "dbus-daemon", option, "--nofork", "--nopidfile", "--print-pid=1", NULL);
        perror("dbus-daemon");
        _exit(127);
}

void private_bus_start(struct private_bus *bus) {
        char line[8];
        int ends[2];

        if (pipe2(ends, O_CLOEXEC) < 0)
                fail("pipe");
        bus->pid = fork();
        if (bus->pid < 0)
                fail("fork");
        if (bus->pid == 0)
                become_daemon(bus->folder, ends[1]);
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
