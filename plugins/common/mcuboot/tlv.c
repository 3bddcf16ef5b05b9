/* SPDX-License-Identifier: Apache-2.0 */
#include "common/mcuboot/tlv.h"

#include <stdlib.h>

#include <openssl/evp.h>

#include "base/cleanup.h"

#define AREA_MAGIC 0x6907u
#define AREA_MAGIC_PROTECTED 0x6908u
#define AREA_HEADER_SIZE 4u
#define ENTRY_HEADER_SIZE 4u

struct entry {
        uint16_t type;
        uint16_t size;
        const uint8_t *value;
        bool is_protected;
};

struct walk {
        struct mcuboot_tlvs *tlvs;
        size_t n_entries;
        /* What the last KEYHASH or PUBKEY entry said: it belongs to the signature that follows. */
        uint8_t key_hash[GW_HASH_MAX];
        uint8_t key_hash_size;
        struct gw_error *err;
};

static int entry_wrong_size(const struct walk *walk, const struct entry *entry, const char *what) {
        return refuse(walk->err, "image-malformed", "the %s (entry type 0x%02x) has %u bytes", what, entry->type, entry->size);
}

static bool is_digest_size(size_t size) {
        return size == 32 || size == 48 || size == 64;
}

static int on_key_hash(struct walk *walk, const struct entry *entry) {
        if (!is_digest_size(entry->size))
                return entry_wrong_size(walk, entry, "key hash");
        memcpy(walk->key_hash, entry->value, entry->size);
        walk->key_hash_size = (uint8_t) entry->size;
        return 0;
}

/* A whole key stands for its hash, so that both forms are looked up alike. */
static int on_public_key(struct walk *walk, const struct entry *entry) {
        if (entry->size == 0 || entry->size > MCUBOOT_PUBLIC_KEY_MAX)
                return entry_wrong_size(walk, entry, "public key");
        if (!EVP_Digest(entry->value, entry->size, walk->key_hash, NULL, EVP_sha256(), NULL))
                return source_failed(walk->err, -ENOMEM, "hashing a public key");
        walk->key_hash_size = 32;
        return 0;
}

static int on_hash(struct walk *walk, const struct entry *entry) {
        struct mcuboot_tlvs *tlvs = walk->tlvs;
        if (entry->is_protected)
                return refuse(walk->err, "image-malformed", "the image hash lies in the area that it covers");
        if (tlvs->hash_size)
                return refuse(walk->err, "image-malformed", "more than one image hash; a device would not list such an image");
        if (entry->size != 32 + 16 * (entry->type - MCUBOOT_TLV_SHA256))
                return entry_wrong_size(walk, entry, "image hash");
        tlvs->hash_type = entry->type;
        tlvs->hash_size = (uint8_t) entry->size;
        memcpy(tlvs->hash, entry->value, entry->size);
        return 0;
}

static int on_signature(struct walk *walk, const struct entry *entry) {
        struct mcuboot_signature *signature;
        if (walk->tlvs->n_signatures >= MCUBOOT_SIGNATURES_MAX)
                return refuse(walk->err, "image-malformed", "more than %u signatures", MCUBOOT_SIGNATURES_MAX);
        if (entry->size == 0 || entry->size > MCUBOOT_SIGNATURE_MAX)
                return entry_wrong_size(walk, entry, "signature");
        signature = &walk->tlvs->signatures[walk->tlvs->n_signatures++];
        signature->type = entry->type;
        signature->size = entry->size;
        memcpy(signature->bytes, entry->value, entry->size);
        signature->key_hash_size = walk->key_hash_size;
        memcpy(signature->key_hash, walk->key_hash, sizeof walk->key_hash);
        walk->key_hash_size = 0;
        return 0;
}

static int on_dependency(struct walk *walk, const struct entry *entry) {
        struct mcuboot_tlvs *tlvs = walk->tlvs;
        if (entry->size != 12)
                return entry_wrong_size(walk, entry, "dependency");
        if (tlvs->n_dependencies >= MCUBOOT_DEPENDENCIES_MAX)
                return refuse(walk->err, "image-malformed", "more than %u dependencies", MCUBOOT_DEPENDENCIES_MAX);
        tlvs->dependencies[tlvs->n_dependencies].image = entry->value[0];
        tlvs->dependencies[tlvs->n_dependencies++].minimum = mcuboot_version_parse(entry->value + 4);
        return 0;
}

static int on_security_counter(struct walk *walk, const struct entry *entry) {
        if (entry->size != 4)
                return entry_wrong_size(walk, entry, "security counter");
        walk->tlvs->has_security_counter = true;
        walk->tlvs->security_counter = source_get32(entry->value);
        return 0;
}

static int on_uuid(struct walk *walk, const struct entry *entry, uint8_t uuid[16], bool *has_uuid) {
        if (entry->size != 16)
                return entry_wrong_size(walk, entry, "UUID");
        memcpy(uuid, entry->value, 16);
        *has_uuid = true;
        return 0;
}

/* What counts only where the hash covers it: a dependency in the open area could be added by anybody and no bootloader reads it. */
static int on_protected(struct walk *walk, const struct entry *entry) {
        struct mcuboot_tlvs *tlvs = walk->tlvs;
        switch (entry->type) {
        case MCUBOOT_TLV_DEPENDENCY:
                return on_dependency(walk, entry);
        case MCUBOOT_TLV_SECURITY_COUNTER:
                return on_security_counter(walk, entry);
        case MCUBOOT_TLV_VENDOR_UUID:
                return on_uuid(walk, entry, tlvs->vendor_uuid, &tlvs->has_vendor_uuid);
        case MCUBOOT_TLV_CLASS_UUID:
                return on_uuid(walk, entry, tlvs->class_uuid, &tlvs->has_class_uuid);
        }
        return 0;
}

static int on_entry(struct walk *walk, const struct entry *entry) {
        switch (entry->type) {
        case MCUBOOT_TLV_KEYHASH:
                return on_key_hash(walk, entry);
        case MCUBOOT_TLV_PUBKEY:
                return on_public_key(walk, entry);
        case MCUBOOT_TLV_SHA256 ... MCUBOOT_TLV_SHA512:
                return on_hash(walk, entry);
        case MCUBOOT_TLV_RSA2048_PSS ... MCUBOOT_TLV_ED25519:
                return on_signature(walk, entry);
        case MCUBOOT_TLV_SIG_PURE:
                walk->tlvs->pure = entry->size == 1 && entry->value[0] == 1;
                return walk->tlvs->pure ? 0 : entry_wrong_size(walk, entry, "mark of a pure signature");
        case MCUBOOT_TLV_ENC_RSA2048 ... MCUBOOT_TLV_ENC_X25519_SHA512:
                walk->tlvs->wrapped_key = true;
                return 0;
        }
        return entry->is_protected ? on_protected(walk, entry) : 0;
}

static int area_walk(struct walk *walk, const uint8_t *area, size_t size, bool is_protected) {
        size_t at = AREA_HEADER_SIZE;
        while (at < size) {
                struct entry entry = {.is_protected = is_protected};
                int r;
                if (++walk->n_entries > MCUBOOT_TLVS_MAX)
                        return refuse(walk->err, "image-malformed", "more than %u entries", MCUBOOT_TLVS_MAX);
                if (size - at < ENTRY_HEADER_SIZE)
                        return refuse(walk->err, "image-malformed", "%zu stray bytes behind the last entry", size - at);
                entry.type = source_get16(area + at);
                entry.size = source_get16(area + at + 2);
                entry.value = area + at + ENTRY_HEADER_SIZE;
                at += ENTRY_HEADER_SIZE;
                if (entry.size > size - at)
                        return refuse(walk->err, "image-malformed", "entry type 0x%02x reaches beyond its area", entry.type);
                r = on_entry(walk, &entry);
                if (r < 0)
                        return r;
                at += entry.size;
        }
        return 0;
}

/* The total size of the area at `at` if it has that magic; 0 if it has another one. */
static int area_probe(const struct source *source, uint64_t at, uint16_t magic, uint16_t *ret_size, struct gw_error *err) {
        uint8_t head[AREA_HEADER_SIZE];
        int r = source_read(source, at, head, sizeof head);
        if (r == -ENODATA)
                return refuse(err, "image-truncated", "the file ends before the image's hash and signature, at byte %llu of %llu",
                              (unsigned long long) source->size, (unsigned long long) at + sizeof head);
        if (r < 0)
                return source_failed(err, r, "reading the image");
        *ret_size = 0;
        if (source_get16(head) != magic)
                return 0;
        *ret_size = source_get16(head + 2);
        if (*ret_size < AREA_HEADER_SIZE)
                return refuse(err, "image-malformed", "an area of entries that says it has %u bytes", *ret_size);
        if (*ret_size > source->size - at)
                return refuse(err, "image-truncated", "%llu bytes are missing at the end of the image",
                              (unsigned long long) (*ret_size - (source->size - at)));
        return 0;
}

static int area_read(struct walk *walk, const struct source *source, uint64_t at, uint16_t size, bool is_protected) {
        _cleanup_free_ uint8_t *area = malloc(size);
        int r = area ? source_read(source, at, area, size) : -ENOMEM;
        if (r < 0)
                return source_failed(walk->err, r, "reading the image");
        return area_walk(walk, area, size, is_protected);
}

static int protected_read(struct walk *walk, const struct source *source, const struct mcuboot_header *header, uint64_t at) {
        uint16_t size;
        int r = area_probe(source, at, AREA_MAGIC_PROTECTED, &size, walk->err);
        if (r < 0)
                return r;
        if (size != header->protected_size)
                return refuse(walk->err, "image-malformed", "the header tells %u bytes of protected entries, there are %u",
                              header->protected_size, size);
        return size > 0 ? area_read(walk, source, at, size, true) : 0;
}

static int open_read(struct walk *walk, const struct source *source, uint64_t at, uint16_t *ret_size) {
        int r = area_probe(source, at, AREA_MAGIC, ret_size, walk->err);
        if (r < 0)
                return r;
        if (*ret_size == 0)
                return refuse(walk->err, "image-malformed", "no hash and signature where the header says that the image ends (byte %llu)",
                              (unsigned long long) at);
        return area_read(walk, source, at, *ret_size, false);
}

int mcuboot_tlvs_read(const struct source *source, const struct mcuboot_header *header, struct mcuboot_tlvs *ret_tlvs,
                      struct gw_error *err) {
        struct mcuboot_tlvs tlvs = {};
        struct walk walk = {.tlvs = &tlvs, .err = err};
        uint64_t at = (uint64_t) header->header_size + header->body_size;
        uint16_t open_size = 0;
        int r = protected_read(&walk, source, header, at);
        if (r < 0)
                return r;
        r = open_read(&walk, source, at + header->protected_size, &open_size);
        if (r < 0)
                return r;
        if (!tlvs.hash_size)
                return refuse(err, "image-hash-missing", "the image carries no hash, by which a device could be asked for it");
        tlvs.size = (uint64_t) header->protected_size + open_size;
        *ret_tlvs = tlvs;
        return 0;
}
