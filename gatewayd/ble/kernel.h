/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

/*
 * Whether a Linux kernel is known to fail when a Bluetooth connection ends. `release` and `version` as uname(2) has them: Debian
 * names the upstream version only in the latter ("#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2 (2026-10-01)").
 *
 * Known: 6.1.191 and 6.1.192 (not in 6.1.190). There l2cap_conn_free() deletes the connection's hci_chan, which hci_conn_cleanup() may
 * have deleted before, when the Bluetooth service closes its socket late: "kernel BUG at lib/list_debug.c", in hci_chan_del(). The
 * service hangs from then on, until the machine is started anew.
 */
bool ble_kernel_fails(const char *release, const char *version);
