/* SPDX-License-Identifier: Apache-2.0 */
#include "common/zip/package_kind.h"

#include <stdlib.h>

#include "base/json.h"
#include "base/str.h"
#include "common/zip/archive.h"
#include "common/zip/manifest.h"

/* The parts of an older Nordic package: "manifest": { "application": { "bin_file", "dat_file" } } and its sisters. */
static const struct json *dfu_part(const struct json *manifest) {
        static const char *const names[] = {"application", "softdevice", "bootloader", "softdevice_bootloader", "external_application"};
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (json_has(json_child(manifest, names[i]), "bin_file"))
                        return json_child(manifest, names[i]);
        return NULL;
}

/* The version of the manifest came with the legacy bootloader and went with it; the company id is in mesh packages only. */
static enum package_kind dfu_kind(const struct json *manifest) {
        const struct json *part = dfu_part(manifest), *init = json_child(part, "init_packet_data");
        if (!part)
                return PACKAGE_OTHER;
        if (json_has(init, "company_id"))
                return PACKAGE_MESH_DFU;
        return json_has(manifest, "dfu_version") || init ? PACKAGE_LEGACY_DFU : PACKAGE_SECURE_DFU;
}

static enum package_kind ncs_kind(const struct json *root) {
        struct manifest manifest;
        if (manifest_read(root, &manifest, NULL) < 0)
                return PACKAGE_OTHER;
        switch (manifest.purpose) {
        case MANIFEST_APPLICATION:
                break;
        case MANIFEST_BOOTLOADER:
                return PACKAGE_BOOTLOADER;
        case MANIFEST_SUIT:
                return PACKAGE_SUIT;
        }
        return PACKAGE_APPLICATION;
}

static enum package_kind manifest_kind(struct archive *archive, const struct archive_entry *entry) {
        _cleanup_json_ struct json *root = NULL;
        _cleanup_free_ char *text = NULL;
        if (archive_entry_load(archive, entry, MANIFEST_SIZE_MAX, &text, NULL) < 0 ||
            json_parse(text, entry->size, MANIFEST_SIZE_MAX, &root, NULL) < 0)
                return PACKAGE_OTHER;
        return json_child(root, "manifest") ? dfu_kind(json_child(root, "manifest")) : ncs_kind(root);
}

/* Modem packages have no manifest; their files have fixed names. */
static bool is_modem_file(const char *name) {
        return str_starts_with(name, "firmware.update.image.") || str_glob_match("*.ipc_dfu.signed_*", name) ||
               str_glob_match("mfw_nrf9*", name);
}

static enum package_kind archive_kind(struct archive *archive) {
        const struct archive_entry *entry = archive_find(archive, MANIFEST_NAME);
        for (size_t i = 0; i < archive->n_entries; i++)
                if (is_modem_file(archive->entries[i].name))
                        return PACKAGE_MODEM;
        if (entry)
                return manifest_kind(archive, entry);
        /* The oldest packages had two files and nothing else. */
        return archive_find(archive, "application.dat") ? PACKAGE_LEGACY_DFU : PACKAGE_OTHER;
}

enum package_kind package_kind_of(int fd, uint64_t file_size) {
        struct source source = {fd, 0, file_size};
        _cleanup_archive_ struct archive *archive = NULL;
        return archive_open(&source, &archive, NULL) < 0 ? PACKAGE_OTHER : archive_kind(archive);
}

int package_kind_refuse(enum package_kind kind, struct gw_error *err) {
        const char *name = "format-recognised-no-driver";
        switch (kind) {
        case PACKAGE_OTHER:
        case PACKAGE_APPLICATION:
                return 0;
        case PACKAGE_BOOTLOADER:
                return refuse(
                        err, name,
                        "an update of the bootloader MCUboot itself (dfu_mcuboot.zip), not of an application; use dfu_application.zip");
        case PACKAGE_SUIT:
                return refuse(err, name, "a SUIT package of the nRF Connect SDK, for nRF54H devices that boot by SUIT instead of MCUboot");
        case PACKAGE_SECURE_DFU:
                return refuse(err, name, "a Nordic Secure DFU package, for devices with the secure bootloader of the nRF5 SDK 12 to 17");
        case PACKAGE_LEGACY_DFU:
                return refuse(err, name, "a Nordic legacy DFU package, for devices with the bootloader of the nRF5 SDK up to 11");
        case PACKAGE_MESH_DFU:
                return refuse(err, name, "a mesh DFU package, for devices with the bootloader of the nRF5 SDK for Mesh");
        case PACKAGE_MODEM:
                return refuse(
                        err, "modem-firmware-file",
                        "firmware of an nRF91 modem (mfw_nrf91...zip), not of an application; it is not given to an application updater");
        }
        return 0;
}
