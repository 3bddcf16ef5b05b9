/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One SMP message: its 8-byte header, the two forms of an error answer, and names for codes. Pure functions on bytes that the
 * caller owns. Specification: SMP, "frame and error reporting"; Zephyr's smp_protocol.rst.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cbor_map/cbor_map.h"
#include "common/smp/limits.h"

enum smp_op {
        SMP_OP_READ = 0,
        SMP_OP_READ_ANSWER = 1,
        SMP_OP_WRITE = 2,
        SMP_OP_WRITE_ANSWER = 3,
};

/* The two bits on the wire. */
enum smp_version {
        SMP_VERSION_1 = 0,
        SMP_VERSION_2 = 1,
};

enum smp_group {
        SMP_GROUP_OS = 0,
        SMP_GROUP_IMAGE = 1,
        SMP_GROUP_STATISTICS = 2,
        SMP_GROUP_SETTINGS = 3,
        SMP_GROUP_FILE = 8,
        SMP_GROUP_SHELL = 9,
        SMP_GROUP_ENUMERATION = 10,
        SMP_GROUP_BASIC = 63,
        SMP_GROUP_FMFU = 65,
        SMP_GROUP_MEMFAULT = 128,
};

enum smp_os_command {
        SMP_OS_ECHO = 0,
        SMP_OS_RESET = 5,
        SMP_OS_PARAMS = 6,
        SMP_OS_INFO = 7,
        SMP_OS_BOOTLOADER = 8,
};

enum smp_image_command {
        SMP_IMAGE_STATE = 0,
        SMP_IMAGE_UPLOAD = 1,
        SMP_IMAGE_ERASE = 5,
        SMP_IMAGE_SLOT_INFO = 6,
};

/* Plain `rc` codes. */
enum smp_rc {
        SMP_RC_OK = 0,
        SMP_RC_UNKNOWN = 1,
        SMP_RC_NO_MEMORY = 2,
        SMP_RC_INVALID = 3,
        SMP_RC_TIMEOUT = 4,
        SMP_RC_NO_ENTRY = 5,
        SMP_RC_BAD_STATE = 6,
        SMP_RC_TOO_LARGE = 7,
        SMP_RC_NOT_SUPPORTED = 8,
        SMP_RC_CORRUPT = 9,
        SMP_RC_BUSY = 10,
        SMP_RC_ACCESS_DENIED = 11,
        SMP_RC_VERSION_TOO_OLD = 12,
        SMP_RC_VERSION_TOO_NEW = 13,
};

/* Codes of the image group (`err.rc` with `err.group` 1) that somebody decides by. */
enum smp_image_code {
        SMP_IMAGE_CODE_UNKNOWN = 1,
        SMP_IMAGE_CODE_NO_IMAGE = 3,
        SMP_IMAGE_CODE_HASH_NOT_FOUND = 8,
        SMP_IMAGE_CODE_NO_FREE_SLOT = 9,
        SMP_IMAGE_CODE_FLASH_WRITE_FAILED = 12,
        SMP_IMAGE_CODE_FLASH_ERASE_FAILED = 13,
        SMP_IMAGE_CODE_INVALID_SLOT = 14,
        SMP_IMAGE_CODE_NO_FREE_MEMORY = 15,
        SMP_IMAGE_CODE_INVALID_HEADER = 22,
        SMP_IMAGE_CODE_INVALID_MAGIC = 23,
        SMP_IMAGE_CODE_INVALID_HASH = 24,
        SMP_IMAGE_CODE_INVALID_FLASH_ADDRESS = 25,
        SMP_IMAGE_CODE_CURRENT_IS_NEWER = 27,
        SMP_IMAGE_CODE_ALREADY_PENDING = 28,
        SMP_IMAGE_CODE_TOO_LARGE = 30,
        SMP_IMAGE_CODE_DATA_OVERRUN = 31,
        SMP_IMAGE_CODE_CONFIRMATION_DENIED = 32,
        SMP_IMAGE_CODE_TEST_ACTIVE_DENIED = 33,
};

struct smp_header {
        uint8_t op;      /* 0..7, known ones are enum smp_op */
        uint8_t version; /* 0..3, known ones are enum smp_version */
        uint8_t flags;
        uint16_t size; /* bytes of payload behind the header */
        uint16_t group;
        uint8_t seq;
        uint8_t command;
};

void smp_header_write(const struct smp_header *header, uint8_t ret_bytes[SMP_HEADER_SIZE]);
/* -EBADMSG when there are less than 8 bytes or less than the header promises. */
int smp_header_read(const uint8_t *data, size_t size, struct smp_header *ret_header);

/* What an answer says about success. A missing code and a code 0 are success. */
struct smp_status {
        bool refused;
        bool group_form;       /* {"err": {"group", "rc"}}, else the plain {"rc"} */
        uint16_t group;        /* of the err form; may differ from the request's */
        int32_t code;          /* saturated to 32 bits */
        char rsn[SMP_RSN_MAX]; /* text that some builds add, printable ASCII only; empty else */
};

void smp_status_read(const struct cbor_map *map, struct smp_status *ret_status);

/* The plain `rc` of this value. */
bool smp_status_is_rc(const struct smp_status *status, enum smp_rc rc);
/* The err form with this group and code. */
bool smp_status_is_group(const struct smp_status *status, uint16_t group, int32_t code);
/* Not offered at all: plain rc 8. */
bool smp_status_is_not_supported(const struct smp_status *status);

/* "NO_FREE_SLOT", "EBADSTATE", …; NULL when the code has no known name. */
const char *smp_status_name(const struct smp_status *status);
/* "image upload", "os reset", …; "group 65 command 1" for others. Returns `buffer`. */
const char *smp_request_name(uint16_t group, uint8_t command, uint8_t op, char *buffer, size_t size);
/* "NO_FREE_SLOT (group 1, code 9)", "ENOTSUP (rc 8): reason". Returns `buffer`. */
const char *smp_status_describe(const struct smp_status *status, char *buffer, size_t size);
