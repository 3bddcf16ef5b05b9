/* SPDX-License-Identifier: Apache-2.0 */
#include "common/zip/ncs_format.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/str.h"
#include "common/mcuboot/image.h"
#include "common/mcuboot/package_note.h"
#include "common/zip/archive.h"
#include "common/zip/manifest.h"
#include "common/zip/package_kind.h"

struct reading {
        struct archive *archive;
        const struct gw_format_options *options;
        const struct manifest *manifest;
        struct gw_package *package;
        struct gw_error *err;
};

static bool ncs_matches(const uint8_t *head, size_t head_size, int fd, uint64_t file_size) {
        (void) fd, (void) file_size;
        return archive_looks_like(head, head_size);
}

static void ncs_release(struct gw_package *package, int fd) {
        for (size_t i = 0; i < package->n_parts; i++) {
                if (package->parts[i].fd >= 0 && package->parts[i].fd != fd)
                        close(package->parts[i].fd);
                package->parts[i].fd = -1;
        }
        package->n_parts = 0;
}

static int piece_write(void *ctx, const uint8_t *data, size_t size) {
        const int *fd = ctx;
        while (size > 0) {
                ssize_t n = write(*fd, data, size);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                data += n;
                size -= (size_t) n;
        }
        return 0;
}

static int piece_drop(void *ctx, const uint8_t *data, size_t size) {
        (void) ctx, (void) data, (void) size;
        return 0;
}

static int scratch_failed(int result, struct gw_error *err) {
        bool full = result == -ENOSPC || result == -EDQUOT || result == -EFBIG;
        gw_error_set(err, full ? "disk-full" : "disk-error", "unpacking: %s", strerrordesc_np(-result));
        return result;
}

static int unpack(struct reading *reading, const struct archive_entry *entry, int *ret_fd) {
        const struct gw_format_options *options = reading->options;
        _cleanup_close_ int fd = options && options->scratch_open ? options->scratch_open(options->scratch_ctx) : -EOPNOTSUPP;
        int r;
        if (fd < 0)
                return scratch_failed(fd, reading->err);
        r = archive_entry_each(reading->archive, entry, piece_write, &fd, reading->err);
        if (r < 0 && r != -EBADMSG && r != -ENOMEM)
                return scratch_failed(r, reading->err);
        if (r < 0)
                return r;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/* Where the bytes of an entry are: in the archive after its CRC was checked, or in a scratch file, which *ret_source then owns. */
static int entry_source(struct reading *reading, const struct archive_entry *entry, struct source *ret_source) {
        int fd = -1, r;
        if (entry->method == ARCHIVE_STORED) {
                *ret_source =
                        (struct source){reading->archive->source.fd, reading->archive->source.offset + entry->data_offset, entry->size};
                return archive_entry_each(reading->archive, entry, piece_drop, NULL, reading->err);
        }
        r = unpack(reading, entry, &fd);
        if (r < 0)
                return r;
        *ret_source = (struct source){fd, 0, entry->size};
        return 0;
}

static int entry_find(struct reading *reading, const struct manifest_file *file, const struct archive_entry **ret_entry) {
        const struct archive_entry *entry = archive_find(reading->archive, file->file);
        if (!entry)
                return refuse(reading->err, "zip-entry-missing", "the manifest names %s, which is not in the archive", file->file);
        if (file->has_size && file->size != entry->size)
                return refuse(reading->err, "part-size-mismatch", "%s has %u bytes, the manifest says %llu", file->file, entry->size,
                              (unsigned long long) file->size);
        *ret_entry = entry;
        return 0;
}

/* The manifest's version is for people; the header decides. A difference still means that somebody put the wrong file in. */
static void version_compare(struct reading *reading, const struct manifest_file *file, const struct mcuboot_image *image) {
        struct mcuboot_version told;
        if (!file->version[0] || mcuboot_version_from_text(file->version, &told) < 0)
                return;
        if (!strchr(file->version, '+'))
                told.build = image->header.version.build;
        if (mcuboot_version_compare(&told, &image->header.version) != 0)
                package_warning(reading->package, file->file, "the manifest calls it version %s, the image itself says otherwise",
                                file->version);
}

/* "" where there is only one image. */
static void label_make(const struct reading *reading, const struct manifest_file *file, char label[24]) {
        label[0] = '\0';
        if (reading->manifest->n_files > 1 && file->slot >= 0)
                snprintf(label, 24, "image %u/%d", file->image, file->slot);
        else if (reading->manifest->n_files > 1)
                snprintf(label, 24, "image %u", file->image);
}

static int image_add(struct reading *reading, const struct manifest_file *file, const struct source *source, struct gw_part *part) {
        struct mcuboot_image image;
        char label[24];
        int r = mcuboot_image_read(source, reading->options, &image, reading->err);
        if (r < 0) {
                gw_error_prefix(reading->err, "%s", file->file);
                return r;
        }
        mcuboot_image_part(&image, source, part);
        label_make(reading, file, label);
        mcuboot_image_describe(&image, label, reading->package);
        version_compare(reading, file, &image);
        return mcuboot_image_dependencies(&image, file->image, reading->package, reading->err);
}

static int part_add(struct reading *reading, const struct manifest_file *file) {
        struct gw_part *part = &reading->package->parts[reading->package->n_parts];
        const struct archive_entry *entry = NULL;
        struct source source;
        int r = entry_find(reading, file, &entry);
        if (r < 0)
                return r;
        r = entry_source(reading, entry, &source);
        if (r < 0)
                return r;
        *part = (struct gw_part){.image = file->image, .slot = file->slot, .fd = source.fd};
        str_copy(part->name, sizeof part->name, file->file);
        reading->package->n_parts++; /* from here on release() closes its file */
        return image_add(reading, file, &source, part);
}

static int compatible_add(struct reading *reading, const char *board) {
        struct gw_package *package = reading->package;
        for (size_t i = 0; i < package->n_compatible; i++)
                if (strcmp(package->compatible[i], board) == 0)
                        return 0;
        if (package->n_compatible == ARRAY_SIZE(package->compatible))
                return refuse(reading->err, "manifest-invalid", "more than %zu boards", ARRAY_SIZE(package->compatible));
        return str_copy(package->compatible[package->n_compatible++], GW_MODEL_MAX, board);
}

/* A package that brings two images which cannot run together would be turned down by the bootloader after the upload. */
static int dependencies_check(const struct gw_package *package, struct gw_error *err) {
        for (size_t i = 0; i < package->n_dependencies; i++)
                for (size_t j = 0; j < package->n_parts; j++) {
                        const struct gw_part *part = &package->parts[j];
                        struct mcuboot_version minimum, brought;
                        if (part->image != package->dependencies[i].image ||
                            mcuboot_version_from_text(package->dependencies[i].minimum, &minimum) < 0 ||
                            mcuboot_version_from_text(part->version, &brought) < 0)
                                continue;
                        if (mcuboot_version_compare(&brought, &minimum) < 0)
                                return refuse(
                                        err, "image-dependency-unmet", "image %u needs image %u to be %s or newer, the package brings %s",
                                        package->dependencies[i].of_image, part->image, package->dependencies[i].minimum, part->version);
                }
        return 0;
}

/* The version of a package is that of its first image: the application. */
static void version_choose(struct gw_package *package) {
        const struct gw_part *first = &package->parts[0];
        for (size_t i = 1; i < package->n_parts; i++)
                if (package->parts[i].image < first->image)
                        first = &package->parts[i];
        str_copy(package->version, sizeof package->version, first->version);
}

static int parts_read(struct reading *reading) {
        int r = 0;
        if (reading->manifest->name[0])
                package_fact(reading->package, "", "name", "%s", reading->manifest->name);
        for (size_t i = 0; i < reading->manifest->n_files && r == 0; i++) {
                const struct manifest_file *file = &reading->manifest->files[i];
                if (file->board[0])
                        r = compatible_add(reading, file->board);
                if (r == 0)
                        r = part_add(reading, file);
        }
        if (r < 0)
                return r;
        version_choose(reading->package);
        return dependencies_check(reading->package, reading->err);
}

static int manifest_load(struct archive *archive, const struct gw_format_options *options, struct manifest *manifest,
                         struct gw_error *err) {
        const struct archive_entry *entry = archive_find(archive, MANIFEST_NAME);
        _cleanup_free_ char *text = NULL;
        int r = archive_check(archive, options ? options->unpacked_max : 0, err);
        if (r < 0)
                return r;
        if (!entry)
                return refuse(err, "manifest-missing", "a zip archive without %s: no firmware package", MANIFEST_NAME);
        r = archive_entry_load(archive, entry, MANIFEST_SIZE_MAX, &text, err);
        return r < 0 ? r : manifest_parse(text, entry->size, manifest, err);
}

static int ncs_read(int fd, uint64_t file_size, const struct gw_format_options *options, struct gw_package *ret_package,
                    struct gw_error *err) {
        struct source source = {fd, 0, file_size};
        struct gw_package package = {.format = "ncs-zip"};
        _cleanup_archive_ struct archive *archive = NULL;
        struct manifest manifest;
        struct reading reading = {.options = options, .manifest = &manifest, .package = &package, .err = err};
        int r = package_kind_refuse(package_kind_of(fd, file_size), err);
        if (r == 0)
                r = archive_open(&source, &archive, err);
        if (r == 0)
                r = manifest_load(archive, options, &manifest, err);
        if (r < 0)
                return r;
        reading.archive = archive;
        r = parts_read(&reading);
        if (r < 0) {
                ncs_release(&package, fd);
                return r;
        }
        *ret_package = package;
        return 0;
}

const struct gw_format ncs_zip_format = {
        .name = "ncs-zip",
        .summary = "package of the nRF Connect SDK with MCUboot images (dfu_application.zip)",
        .matches = ncs_matches,
        .read = ncs_read,
        .release = ncs_release,
};
