/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Line settings of a serial port. Apart from loop/serial.c because arbitrary rates need the kernel's struct termios2, whose header
 * does not go together with <termios.h>.
 */

#include <stdbool.h>
#include <stdint.h>

/*
 * Raw, 8N1, receiver on, modem lines ignored and left alone at close, RTS/CTS as asked, both directions at `baud`. Reading returns
 * -EAGAIN while there is nothing. -ENOTSUP: the driver made another rate (more than 3 % off) or refuses flow control; else errno.
 */
int tty_raw_set(int fd, uint32_t baud, bool hardware_flow);

/* A pseudo terminal's slave: TIOCEXCL would stay on it after we died, as long as its master lives. */
bool tty_is_pseudo(int fd);
