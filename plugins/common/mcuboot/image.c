/* SPDX-License-Identifier: Apache-2.0 */
#include "common/mcuboot/image.h"

#include "common/mcuboot/vector_table.h"

#define TRAILER_MAGIC_SIZE 16u

/* With write blocks of 8 bytes the mark is fixed; with others it begins with the size of the block. */
static const uint8_t trailer_magic[TRAILER_MAGIC_SIZE] = {0x77, 0xc2, 0x95, 0xf3, 0x60, 0xd2, 0xef, 0x7f,
                                                          0x35, 0x52, 0x50, 0x0f, 0x2c, 0xb6, 0x79, 0x80};
static const uint8_t trailer_magic_sized[TRAILER_MAGIC_SIZE - 2] = {0x2d, 0xe1, 0x5d, 0x29, 0x41, 0x0b, 0x8d,
                                                                    0x77, 0x67, 0x9c, 0x11, 0x0f, 0x1f, 0x8a};

static bool is_trailer_magic(const uint8_t *bytes) {
        return memcmp(bytes, trailer_magic, TRAILER_MAGIC_SIZE) == 0 || memcmp(bytes + 2, trailer_magic_sized, TRAILER_MAGIC_SIZE - 2) == 0;
}

static int blank_piece(void *ctx, const uint8_t *data, size_t size) {
        const uint8_t *value = ctx;
        for (size_t i = 0; i < size; i++)
                if (data[i] != *value)
                        return -EILSEQ;
        return 0;
}

/* Erased flash reads as ones, on some chips as zeros. -EILSEQ when it is neither. */
static int blank_check(const struct source *source, uint64_t from) {
        uint8_t value;
        int r = source_read(source, from, &value, 1);
        if (r < 0)
                return r;
        if (value != 0xff && value != 0x00)
                return -EILSEQ;
        return source_each(source, from, source->size, blank_piece, &value);
}

static int padding_find(const struct source *source, struct mcuboot_image *image, struct gw_error *err) {
        uint8_t end[TRAILER_MAGIC_SIZE];
        int r = 0;
        image->padding_size = source->size - image->size;
        if (image->padding_size == 0)
                return 0;
        if (image->padding_size >= sizeof end)
                r = source_read(source, source->size - sizeof end, end, sizeof end);
        if (r == 0 && image->padding_size >= sizeof end && is_trailer_magic(end)) {
                image->padding = MCUBOOT_PADDING_TRAILER;
                return 0;
        }
        if (r == 0)
                r = blank_check(source, image->size);
        if (r == -EILSEQ)
                return refuse(err, "image-trailing-data", "%llu bytes of something else follow the image",
                              (unsigned long long) image->padding_size);
        if (r < 0)
                return source_failed(err, r, "reading the image");
        image->padding = MCUBOOT_PADDING_BLANK;
        return 0;
}

/* One pass makes both sums: the image hash over the first part, SHA-256 over all of it. */
struct sums {
        EVP_MD_CTX *hash, *whole;
        uint64_t hash_left; /* bytes that still belong to the image hash */
};

static int sums_piece(void *ctx, const uint8_t *data, size_t size) {
        struct sums *sums = ctx;
        size_t n = size < sums->hash_left ? size : (size_t) sums->hash_left;
        sums->hash_left -= n;
        return EVP_DigestUpdate(sums->hash, data, n) && EVP_DigestUpdate(sums->whole, data, size) ? 0 : -ENOMEM;
}

static const EVP_MD *hash_algorithm(uint16_t type) {
        return type == MCUBOOT_TLV_SHA384 ? EVP_sha384() : type == MCUBOOT_TLV_SHA512 ? EVP_sha512() : EVP_sha256();
}

static int sums_run(struct sums *sums, const struct source *source, struct mcuboot_image *image, uint8_t hash[GW_HASH_MAX]) {
        int r;
        if (!sums->hash || !sums->whole || !EVP_DigestInit_ex(sums->hash, hash_algorithm(image->tlvs.hash_type), NULL) ||
            !EVP_DigestInit_ex(sums->whole, EVP_sha256(), NULL))
                return -ENOMEM;
        r = source_each(source, 0, image->size, sums_piece, sums);
        if (r < 0)
                return r;
        return EVP_DigestFinal_ex(sums->hash, hash, NULL) && EVP_DigestFinal_ex(sums->whole, image->sha256, NULL) ? 0 : -ENOMEM;
}

static int sums_make(const struct source *source, struct mcuboot_image *image, uint8_t hash[GW_HASH_MAX], struct gw_error *err) {
        const struct mcuboot_header *header = &image->header;
        struct sums sums = {EVP_MD_CTX_new(), EVP_MD_CTX_new(),
                            (uint64_t) header->header_size + header->body_size + header->protected_size};
        int r = sums_run(&sums, source, image, hash);
        EVP_MD_CTX_free(sums.hash);
        EVP_MD_CTX_free(sums.whole);
        return r < 0 ? source_failed(err, r, "hashing the image") : 0;
}

/* The hash of an encrypted image is of its plain body, which nobody but the device can see: a difference there proves nothing. */
static int hash_check(const struct source *source, struct mcuboot_image *image, struct gw_error *err) {
        uint8_t hash[GW_HASH_MAX] = {};
        int r = sums_make(source, image, hash, err);
        if (r < 0)
                return r;
        image->hash_checked = memcmp(hash, image->tlvs.hash, image->tlvs.hash_size) == 0;
        if (!image->hash_checked && !mcuboot_header_encrypted(&image->header))
                return refuse(err, "image-hash-mismatch",
                              "the image was changed after it was made: its hash says %02x%02x%02x%02x..., its bytes %02x%02x%02x%02x...",
                              image->tlvs.hash[0], image->tlvs.hash[1], image->tlvs.hash[2], image->tlvs.hash[3], hash[0], hash[1], hash[2],
                              hash[3]);
        return 0;
}

static int trust_require(const struct mcuboot_verdict *verdict, const struct gw_format_options *options, struct gw_error *err) {
        char key[17];
        if (!options || !options->require_signature || verdict->trust == MCUBOOT_TRUST_VERIFIED)
                return 0;
        if (verdict->trust == MCUBOOT_TRUST_UNSIGNED)
                return refuse(err, "image-signature-missing", "the image is not signed");
        if (verdict->trust == MCUBOOT_TRUST_UNCHECKABLE)
                return refuse(err, "image-signature-not-checkable", "the image is encrypted and its signature is over the plain body");
        snprintf(key, sizeof key, "%02x%02x%02x%02x", verdict->key_hash[0], verdict->key_hash[1], verdict->key_hash[2],
                 verdict->key_hash[3]);
        return refuse(err, "image-key-unknown", "the image is signed (%s) by key %s..., which is none of the %zu configured ones",
                      mcuboot_signature_kind_name(verdict->type), verdict->key_hash_size ? key : "(not told)", options->n_public_keys);
}

static int trust_check(const struct source *source, const struct gw_format_options *options, struct mcuboot_image *image,
                       struct gw_error *err) {
        struct mcuboot_signed about = {source, &image->header, &image->tlvs};
        _cleanup_mcuboot_keys_ struct mcuboot_keys keys = {};
        int r = options ? mcuboot_keys_init(&keys, options->public_keys, options->n_public_keys, err) : 0;
        if (r < 0)
                return r;
        r = mcuboot_signatures_check(&about, &keys, &image->verdict, err);
        return r < 0 ? r : trust_require(&image->verdict, options, err);
}

static int header_read(const struct source *source, struct mcuboot_header *header, struct gw_error *err) {
        uint8_t bytes[MCUBOOT_HEADER_SIZE];
        size_t size = source->size < sizeof bytes ? (size_t) source->size : sizeof bytes;
        int r = source_read(source, 0, bytes, size);
        if (r < 0)
                return source_failed(err, r, "reading the image");
        return mcuboot_header_parse(bytes, size, header, err);
}

static void vectors_read(const struct source *source, struct mcuboot_image *image) {
        uint8_t bytes[VECTOR_TABLE_SIZE];
        bool readable = !mcuboot_header_encrypted(&image->header) && !(image->header.flags & (MCUBOOT_LZMA1 | MCUBOOT_LZMA2)) &&
                        image->header.body_size >= sizeof bytes;
        if (readable && source_read(source, image->header.header_size, bytes, sizeof bytes) == 0 && vector_table_plausible(bytes))
                image->reset_vector = vector_table_reset(bytes);
}

static int shape_read(const struct source *source, struct mcuboot_image *image, struct gw_error *err) {
        uint64_t body_end;
        int r = header_read(source, &image->header, err);
        if (r < 0)
                return r;
        if (source->size > MCUBOOT_FILE_MAX)
                return refuse(err, "file-too-large", "%llu bytes; at most %llu are read", (unsigned long long) source->size,
                              MCUBOOT_FILE_MAX);
        body_end = (uint64_t) image->header.header_size + image->header.body_size;
        if (body_end > source->size)
                return refuse(err, "image-truncated", "the header tells of at least %llu bytes, the file has %llu",
                              (unsigned long long) body_end, (unsigned long long) source->size);
        r = mcuboot_tlvs_read(source, &image->header, &image->tlvs, err);
        if (r < 0)
                return r;
        if (mcuboot_header_encrypted(&image->header) && !image->tlvs.wrapped_key)
                return refuse(err, "image-encrypted-key-missing",
                              "the image is encrypted, but the key that the device would need is not in it");
        image->size = body_end + image->tlvs.size;
        return 0;
}

int mcuboot_image_read(const struct source *source, const struct gw_format_options *options, struct mcuboot_image *ret_image,
                       struct gw_error *err) {
        struct mcuboot_image image = {};
        int r = shape_read(source, &image, err);
        if (r < 0)
                return r;
        r = hash_check(source, &image, err);
        if (r < 0)
                return r;
        r = padding_find(source, &image, err);
        if (r < 0)
                return r;
        r = trust_check(source, options, &image, err);
        if (r < 0)
                return r;
        vectors_read(source, &image);
        *ret_image = image;
        return 0;
}

void mcuboot_image_part(const struct mcuboot_image *image, const struct source *source, struct gw_part *part) {
        part->encrypted = mcuboot_header_encrypted(&image->header);
        part->hash_size = image->tlvs.hash_size;
        memcpy(part->hash, image->tlvs.hash, sizeof part->hash);
        memcpy(part->sha256, image->sha256, sizeof part->sha256);
        part->fd = source->fd;
        part->offset = source->offset;
        part->size = image->size;
        part->load_address = image->header.load_address;
        mcuboot_version_text(&image->header.version, part->version);
}
