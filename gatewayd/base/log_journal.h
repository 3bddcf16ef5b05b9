/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The journal as sink of base/log.h (library gw_basesys: only the daemon links libsystemd). Entries carry PRIORITY, MESSAGE and
 * GATEWAYD_CAMPAIGN, GATEWAYD_DEVICE, GATEWAYD_STEP, GATEWAYD_ERROR.
 */

#include <stdbool.h>

/*
 * Is this descriptor connected to the journal? stream_variable is the value of $JOURNAL_STREAM ("<device>:<inode>"), NULL
 * when unset. Compared with fstat, because a child with another stderr inherits the variable.
 */
bool log_journal_is_stream(int fd, const char *stream_variable);

/* Sends to the journal from now on if stderr goes there, otherwise leaves the sink alone. Returns which. */
bool log_journal_attach(void);

/*
 * Waits until journald has taken what was sent, at most half a second. Of a process that has ended it cannot find out the
 * unit any more, and `journalctl -u` would not show why a start failed. Does nothing when the journal is not the sink.
 */
void log_journal_drain(void);
