/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The first words of code for a Cortex-M: initial stack pointer, reset vector, exception vectors. Enough to say "this looks like
 * an application that nobody signed", and where an image was linked to run. A guess for people; nothing is decided by it.
 */

#include <stdbool.h>
#include <stdint.h>

#define VECTOR_TABLE_SIZE 16u /* bytes looked at */

bool vector_table_plausible(const uint8_t bytes[VECTOR_TABLE_SIZE]);
/* Address of the first instruction. */
uint32_t vector_table_reset(const uint8_t bytes[VECTOR_TABLE_SIZE]);
