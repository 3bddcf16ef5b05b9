/* SPDX-License-Identifier: Apache-2.0 */
#include "common/mcuboot/vector_table.h"

#include <stddef.h>

#include "common/mcuboot/source.h"

/* SRAM of the architecture's memory map: 0x20000000 and the half gigabyte above; also tightly coupled memory at 0x10000000. */
static bool is_stack(uint32_t address) {
        return address % 4 == 0 && ((address > 0x20000000 && address < 0x40000000) || (address > 0x10000000 && address < 0x10100000));
}

/* Thumb code: odd, in the code region or in external flash. */
static bool is_code(uint32_t address) {
        return address % 2 == 1 && address > 0x100 && (address < 0x20000000 || (address >= 0x60000000 && address < 0xa0000000));
}

bool vector_table_plausible(const uint8_t bytes[VECTOR_TABLE_SIZE]) {
        if (!is_stack(source_get32(bytes)))
                return false;
        for (size_t at = 4; at < VECTOR_TABLE_SIZE; at += 4)
                if (!is_code(source_get32(bytes + at)))
                        return false;
        return true;
}

uint32_t vector_table_reset(const uint8_t bytes[VECTOR_TABLE_SIZE]) {
        return source_get32(bytes + 4) & ~1u;
}
