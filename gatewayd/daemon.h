/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The whole: holds every part by value or handle, starts them in order, stops them in reverse. Read daemon.c from the top to know
 * what this process is made of.
 */

#include <gatewayd/plugin.h>

#include "config/config_errors.h"
#include "config/settings.h"

/* sysexits(3), which systemd's RestartPreventExitStatus= and people know. */
enum daemon_exit {
        DAEMON_EXIT_OK = 0,
        DAEMON_EXIT_FAILED = 1,
        DAEMON_EXIT_USAGE = 64,
        DAEMON_EXIT_DATA = 65,        /* the database is of a newer gatewayd, or damaged: a start will not change that */
        DAEMON_EXIT_UNAVAILABLE = 69, /* another gatewayd has the state directory, no socket, ... */
        DAEMON_EXIT_CONFIG = 78,
};

/* Reads the configuration, plugins included, and prints every mistake. Opens nothing else. */
int daemon_check_config(const char *config_file);
/* Runs until SIGTERM or SIGINT. */
int daemon_run(const char *config_file);
/* What gateway.diagnose would say, without a running daemon: JSON on stdout. */
int daemon_diagnose(const char *config_file);
