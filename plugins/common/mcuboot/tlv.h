/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The two areas of type-length-value entries behind the body of an MCUboot image: the protected one, which the image hash
 * covers, and the one that carries hash and signatures. Foreign bytes: everything is bounded by the constants below, unknown
 * types are skipped as a bootloader skips them. The result is a plain value.
 */

#include "common/mcuboot/header.h"
#include "common/mcuboot/source.h"

#define MCUBOOT_TLVS_MAX 128u /* entries in both areas together */
#define MCUBOOT_SIGNATURES_MAX 4u
#define MCUBOOT_SIGNATURE_MAX 512u   /* bytes of one; RSA-3072 needs 384 */
#define MCUBOOT_PUBLIC_KEY_MAX 1024u /* bytes of a whole key in an entry */
#define MCUBOOT_DEPENDENCIES_MAX 8u

enum mcuboot_tlv_type {
        MCUBOOT_TLV_KEYHASH = 0x01,
        MCUBOOT_TLV_PUBKEY = 0x02,
        MCUBOOT_TLV_SHA256 = 0x10,
        MCUBOOT_TLV_SHA384 = 0x11,
        MCUBOOT_TLV_SHA512 = 0x12,
        MCUBOOT_TLV_RSA2048_PSS = 0x20,
        MCUBOOT_TLV_ECDSA224 = 0x21,
        MCUBOOT_TLV_ECDSA = 0x22,
        MCUBOOT_TLV_RSA3072_PSS = 0x23,
        MCUBOOT_TLV_ED25519 = 0x24,
        MCUBOOT_TLV_SIG_PURE = 0x25,
        MCUBOOT_TLV_ENC_RSA2048 = 0x30,
        MCUBOOT_TLV_ENC_X25519_SHA512 = 0x34,
        MCUBOOT_TLV_DEPENDENCY = 0x40,
        MCUBOOT_TLV_SECURITY_COUNTER = 0x50,
        MCUBOOT_TLV_VENDOR_UUID = 0x74,
        MCUBOOT_TLV_CLASS_UUID = 0x75,
};

struct mcuboot_signature {
        uint16_t type; /* MCUBOOT_TLV_RSA2048_PSS .. MCUBOOT_TLV_ED25519 */
        uint16_t size;
        uint8_t bytes[MCUBOOT_SIGNATURE_MAX];
        uint8_t key_hash[GW_HASH_MAX]; /* of the key it says it was made with */
        uint8_t key_hash_size;         /* 32, 48, 64; 0 = it does not say */
};

struct mcuboot_tlvs {
        uint64_t size;      /* bytes of both areas */
        uint16_t hash_type; /* MCUBOOT_TLV_SHA256 .. MCUBOOT_TLV_SHA512 */
        uint8_t hash_size;
        uint8_t hash[GW_HASH_MAX];
        struct mcuboot_signature signatures[MCUBOOT_SIGNATURES_MAX];
        size_t n_signatures;
        bool pure;        /* signatures are over the image itself, not over its hash */
        bool wrapped_key; /* an entry with the key of an encrypted image */
        struct {
                uint8_t image;
                struct mcuboot_version minimum;
        } dependencies[MCUBOOT_DEPENDENCIES_MAX];
        size_t n_dependencies;
        bool has_security_counter;
        uint32_t security_counter;
        bool has_vendor_uuid, has_class_uuid;
        uint8_t vendor_uuid[16], class_uuid[16];
};

/* image-truncated, image-malformed, image-hash-missing: -EBADMSG; others when the file cannot be read. */
int mcuboot_tlvs_read(const struct source *source, const struct mcuboot_header *header, struct mcuboot_tlvs *ret_tlvs,
                      struct gw_error *err);
