/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

/* Bytes of payload that the kernel has received on a TCP socket so far, read or not; 0 where it does not say (Linux 4.1). */
uint64_t tcp_bytes_received(int fd);
