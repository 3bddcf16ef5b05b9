/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/tcp_bytes.h"

#include <linux/tcp.h> /* glibc's netinet/tcp.h lacks the counter, and the two do not go together */
#include <netinet/in.h>
#include <sys/socket.h>

uint64_t tcp_bytes_received(int fd) {
        struct tcp_info info = { 0 };
        socklen_t size = sizeof info;
        return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0 ? 0 : info.tcpi_bytes_received;
}
