/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log_journal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/str.h"

#define LOG_JOURNAL_DRAIN_MS 500

static bool attached;

static int priority(enum log_level level) {
        switch (level) {
        case LOG_LEVEL_ERROR:
                return LOG_ERR;
        case LOG_LEVEL_WARNING:
                return LOG_WARNING;
        case LOG_LEVEL_NOTICE:
                return LOG_NOTICE;
        case LOG_LEVEL_INFO:
                return LOG_INFO;
        case LOG_LEVEL_DEBUG:
                return LOG_DEBUG;
        }
        return LOG_ERR;
}

bool log_journal_is_stream(int fd, const char *stream_variable) {
        uintmax_t device, inode;
        struct stat st;
        int used = 0;

        if (!stream_variable || sscanf(stream_variable, "%ju:%ju%n", &device, &inode, &used) != 2 || stream_variable[used])
                return false;
        return fstat(fd, &st) == 0 && (uintmax_t) st.st_dev == device && (uintmax_t) st.st_ino == inode;
}

/* NAME=value in memory of its own, if there is a value. */
static void add_field(struct iovec *iov, int *n_iov, char *buffer, size_t size, const char *name, const char *value) {
        if (!value || !*value)
                return;
        str_format(buffer, size, "%s=%s", name, value);
        iov[(*n_iov)++] = (struct iovec){.iov_base = buffer, .iov_len = strlen(buffer)};
}

static void log_to_journal(enum log_level level, const struct log_fields *fields, const char *text, void *context) {
        char message[LOG_TEXT_MAX + 16], number[16], campaign[160], device[192], step[96], error[96], level_text[8];
        struct iovec iov[7];
        int n_iov = 0;

        (void) context;
        str_format(level_text, sizeof(level_text), "%d", priority(level));
        add_field(iov, &n_iov, message, sizeof(message), "MESSAGE", *text ? text : "(empty)");
        add_field(iov, &n_iov, number, sizeof(number), "PRIORITY", level_text);
        add_field(iov, &n_iov, campaign, sizeof(campaign), "GATEWAYD_CAMPAIGN", fields->campaign);
        add_field(iov, &n_iov, device, sizeof(device), "GATEWAYD_DEVICE", fields->device);
        add_field(iov, &n_iov, step, sizeof(step), "GATEWAYD_STEP", fields->step);
        add_field(iov, &n_iov, error, sizeof(error), "GATEWAYD_ERROR", fields->error);
        sd_journal_sendv(iov, n_iov);
}

bool log_journal_attach(void) {
        if (!log_journal_is_stream(STDERR_FILENO, getenv("JOURNAL_STREAM")))
                return false;
        log_set_sink(log_to_journal, NULL);
        attached = true;
        return true;
}

/* journald takes datagrams one after the other: when this one, which says nothing, has left the queue, those before it are written. */
void log_journal_drain(void) {
        static const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/run/systemd/journal/socket"};
        const struct timespec pause = {.tv_nsec = 1000000};
        _cleanup_close_ int fd = attached ? socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) : -1;
        int queued = 0;

        if (fd < 0 || sendto(fd, "", 0, 0, (const struct sockaddr *) &address, sizeof(address)) < 0)
                return;
        for (int i = 0; i < LOG_JOURNAL_DRAIN_MS && ioctl(fd, SIOCOUTQ, &queued) == 0 && queued > 0; i++)
                nanosleep(&pause, NULL);
}
