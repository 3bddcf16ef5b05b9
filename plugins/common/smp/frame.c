/* SPDX-License-Identifier: Apache-2.0 */
#include "common/smp/frame.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

void smp_header_write(const struct smp_header *header, uint8_t ret_bytes[SMP_HEADER_SIZE]) {
        ret_bytes[0] = (uint8_t) ((header->version & 3) << 3 | (header->op & 7));
        ret_bytes[1] = header->flags;
        ret_bytes[2] = (uint8_t) (header->size >> 8);
        ret_bytes[3] = (uint8_t) header->size;
        ret_bytes[4] = (uint8_t) (header->group >> 8);
        ret_bytes[5] = (uint8_t) header->group;
        ret_bytes[6] = header->seq;
        ret_bytes[7] = header->command;
}

int smp_header_read(const uint8_t *data, size_t size, struct smp_header *ret_header) {
        size_t payload_size;

        if (size < SMP_HEADER_SIZE)
                return -EBADMSG;
        payload_size = (size_t) data[2] << 8 | data[3];
        if (size - SMP_HEADER_SIZE < payload_size)
                return -EBADMSG;
        *ret_header = (struct smp_header){
                .op = data[0] & 7,
                .version = data[0] >> 3 & 3,
                .flags = data[1],
                .size = (uint16_t) payload_size,
                .group = (uint16_t) (data[4] << 8 | data[5]),
                .seq = data[6],
                .command = data[7],
        };
        return 0;
}

static bool code_read(const struct cbor_map *map, const struct cbor_item *parent, int32_t *ret_code) {
        int64_t code;

        if (cbor_map_get_int(map, parent, "rc", &code) < 0 || code == 0)
                return false;
        *ret_code = code > INT32_MAX ? INT32_MAX : code < INT32_MIN ? INT32_MIN : (int32_t) code;
        return true;
}

void smp_status_read(const struct cbor_map *map, struct smp_status *ret_status) {
        struct smp_status status = { 0 };
        const struct cbor_item *group_error = cbor_map_find(map, NULL, "err");
        uint64_t group;

        /* Both forms may come whatever version was asked with; the more telling one wins. */
        if (group_error && code_read(map, group_error, &status.code)) {
                status.refused = true;
                status.group_form = cbor_map_get_uint(map, group_error, "group", UINT16_MAX, &group) == 0;
                if (status.group_form)
                        status.group = (uint16_t) group;
        } else if (code_read(map, NULL, &status.code)) {
                status.refused = true;
        }
        if (status.refused)
                cbor_map_get_text_cut(map, NULL, "rsn", status.rsn, sizeof status.rsn);
        *ret_status = status;
}

bool smp_status_is_rc(const struct smp_status *status, enum smp_rc rc) {
        return status->refused && !status->group_form && status->code == (int32_t) rc;
}

bool smp_status_is_group(const struct smp_status *status, uint16_t group, int32_t code) {
        return status->refused && status->group_form && status->group == group && status->code == code;
}

bool smp_status_is_not_supported(const struct smp_status *status) {
        return smp_status_is_rc(status, SMP_RC_NOT_SUPPORTED);
}

static const char *const rc_names[] = {
        "EOK",
        "EUNKNOWN",
        "ENOMEM",
        "EINVAL",
        "ETIMEOUT",
        "ENOENT",
        "EBADSTATE",
        "EMSGSIZE",
        "ENOTSUP",
        "ECORRUPT",
        "EBUSY",
        "EACCESSDENIED",
        "UNSUPPORTED_TOO_OLD",
        "UNSUPPORTED_TOO_NEW",
};

static const char *const os_names[] = {
        "OK",
        "UNKNOWN",
        "INVALID_FORMAT",
        "QUERY_YIELDS_NO_ANSWER",
        "RTC_NOT_SET",
        "RTC_COMMAND_FAILED",
        "QUERY_RESPONSE_VALUE_NOT_VALID",
        "HEAP_STATS_FETCH_FAILED",
};

static const char *const image_names[] = {
        "OK",
        "UNKNOWN",
        "FLASH_CONFIG_QUERY_FAIL",
        "NO_IMAGE",
        "NO_TLVS",
        "INVALID_TLV",
        "TLV_MULTIPLE_HASHES_FOUND",
        "TLV_INVALID_SIZE",
        "HASH_NOT_FOUND",
        "NO_FREE_SLOT",
        "FLASH_OPEN_FAILED",
        "FLASH_READ_FAILED",
        "FLASH_WRITE_FAILED",
        "FLASH_ERASE_FAILED",
        "INVALID_SLOT",
        "NO_FREE_MEMORY",
        "FLASH_CONTEXT_ALREADY_SET",
        "FLASH_CONTEXT_NOT_SET",
        "FLASH_AREA_DEVICE_NULL",
        "INVALID_PAGE_OFFSET",
        "INVALID_OFFSET",
        "INVALID_LENGTH",
        "INVALID_IMAGE_HEADER",
        "INVALID_IMAGE_HEADER_MAGIC",
        "INVALID_HASH",
        "INVALID_FLASH_ADDRESS",
        "VERSION_GET_FAILED",
        "CURRENT_VERSION_IS_NEWER",
        "IMAGE_ALREADY_PENDING",
        "INVALID_IMAGE_VECTOR_TABLE",
        "INVALID_IMAGE_TOO_LARGE",
        "INVALID_IMAGE_DATA_OVERRUN",
        "IMAGE_CONFIRMATION_DENIED",
        "IMAGE_SETTING_TEST_TO_ACTIVE_DENIED",
        "ACTIVE_SLOT_NOT_KNOWN",
};

static const char *const settings_names[] = {
        "OK",
        "UNKNOWN",
        "KEY_TOO_LONG",
        "KEY_NOT_FOUND",
        "READ_NOT_SUPPORTED",
        "ROOT_KEY_NOT_FOUND",
        "WRITE_NOT_SUPPORTED",
        "DELETE_NOT_SUPPORTED",
        "SAVE_NOT_SUPPORTED",
};

static const char *name_of(const char *const *names, size_t n_names, int32_t code) {
        return code >= 0 && (size_t) code < n_names ? names[code] : NULL;
}

static const char *rc_name(int32_t code) {
        if (code == 200)
                return "MODEM_INVALID_COMMAND";
        if (code == 201)
                return "MODEM_FAULT";
        return name_of(rc_names, ARRAY_SIZE(rc_names), code);
}

const char *smp_status_name(const struct smp_status *status) {
        if (!status->group_form)
                return rc_name(status->code);
        switch (status->group) {
        case SMP_GROUP_OS:
                return name_of(os_names, ARRAY_SIZE(os_names), status->code);
        case SMP_GROUP_IMAGE:
                return name_of(image_names, ARRAY_SIZE(image_names), status->code);
        case SMP_GROUP_SETTINGS:
                return name_of(settings_names, ARRAY_SIZE(settings_names), status->code);
        }
        return NULL;
}

static const struct {
        uint16_t group;
        uint8_t command;
        const char *name;
} requests[] = {
        { SMP_GROUP_OS, SMP_OS_ECHO, "echo" },
        { SMP_GROUP_OS, SMP_OS_RESET, "reset" },
        { SMP_GROUP_OS, SMP_OS_PARAMS, "buffer parameters" },
        { SMP_GROUP_OS, SMP_OS_INFO, "os information" },
        { SMP_GROUP_OS, SMP_OS_BOOTLOADER, "bootloader information" },
        { SMP_GROUP_IMAGE, SMP_IMAGE_STATE, "image state" },
        { SMP_GROUP_IMAGE, SMP_IMAGE_UPLOAD, "image upload" },
        { SMP_GROUP_IMAGE, SMP_IMAGE_ERASE, "image erase" },
        { SMP_GROUP_IMAGE, SMP_IMAGE_SLOT_INFO, "slot information" },
        { SMP_GROUP_MEMFAULT, 0, "Memfault device information" },
};

const char *smp_request_name(uint16_t group, uint8_t command, uint8_t op, char *buffer, size_t size) {
        const char *verb = op == SMP_OP_WRITE ? " write" : " read";

        for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
                if (requests[i].group != group || requests[i].command != command)
                        continue;
                /* Only the image state is both read and written. */
                snprintf(buffer, size, "%s%s", requests[i].name, group == SMP_GROUP_IMAGE && command == SMP_IMAGE_STATE ? verb : "");
                return buffer;
        }
        snprintf(buffer, size, "group %u command %u%s", group, command, verb);
        return buffer;
}

const char *smp_status_describe(const struct smp_status *status, char *buffer, size_t size) {
        const char *name = smp_status_name(status);
        const char *separator = status->rsn[0] ? ": " : "";

        if (status->group_form)
                snprintf(buffer, size, "%s (group %u, code %d)%s%s", name ? name : "unknown code", status->group, status->code, separator,
                         status->rsn);
        else
                snprintf(buffer, size, "%s (rc %d)%s%s", name ? name : "unknown code", status->code, separator, status->rsn);
        return buffer;
}
