/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon.h"

static void usage(FILE *stream) {
        fprintf(stream,
                "gatewayd %s: updates the firmware of the devices around this gateway\n"
                "\n"
                "  gatewayd [--config FILE]                  run in the foreground, until SIGTERM\n"
                "  gatewayd --check-config [--config FILE]   print every mistake of the configuration; exit 78 if there is one\n"
                "  gatewayd --diagnose [--config FILE]       check disk, clock, plugins, ports and permissions; prints JSON\n"
                "  gatewayd --version\n"
                "  gatewayd --help\n"
                "\n"
                "FILE is " SETTINGS_DEFAULT_FILE " unless it is named; without it every setting has its default.\n"
                "SIGHUP reads the configuration and the adoption list again. Commands are given by gatewayctl(1).\n"
                "Exit codes: 0 stopped as asked, 1 failed, 64 wrong call, 65 the database is of a newer gatewayd or damaged,\n"
                "69 another gatewayd runs here, 78 mistakes in the configuration.\n",
                GW_VERSION);
}

enum { OPTION_CONFIG = 'c', OPTION_HELP = 'h', OPTION_VERSION = 'V', OPTION_CHECK = 256, OPTION_DIAGNOSE };

int main(int argc, char **argv) {
        static const struct option options[] = {
                { "config", required_argument, NULL, OPTION_CONFIG },      { "check-config", no_argument, NULL, OPTION_CHECK },
                { "diagnose", no_argument, NULL, OPTION_DIAGNOSE },        { "version", no_argument, NULL, OPTION_VERSION },
                { "help", no_argument, NULL, OPTION_HELP },                { NULL, 0, NULL, 0 },
        };
        int (*command)(const char *) = daemon_run;
        const char *config_file = NULL;
        int option;
        while ((option = getopt_long(argc, argv, "c:hV", options, NULL)) != -1) {
                switch (option) {
                case OPTION_CONFIG:
                        config_file = optarg;
                        break;
                case OPTION_CHECK:
                        command = daemon_check_config;
                        break;
                case OPTION_DIAGNOSE:
                        command = daemon_diagnose;
                        break;
                case OPTION_VERSION:
                        printf("gatewayd %s (plugin ABI %u)\n", GW_VERSION, GW_ABI);
                        return DAEMON_EXIT_OK;
                case OPTION_HELP:
                        usage(stdout);
                        return DAEMON_EXIT_OK;
                default:
                        usage(stderr);
                        return DAEMON_EXIT_USAGE;
                }
        }
        if (optind < argc) {
                fprintf(stderr, "gatewayd: %s is not an option\n\n", argv[optind]);
                usage(stderr);
                return DAEMON_EXIT_USAGE;
        }
        return command(config_file);
}
