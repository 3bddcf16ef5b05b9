/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Holds the signatures of an image against the configured public keys. A signature that names a configured key and does not fit
 * is always refused; what becomes of images without a signature, or by a key that nobody configured, is the caller's policy
 * (gw_format_options.require_signature).
 */

#include "common/mcuboot/keys.h"
#include "common/mcuboot/tlv.h"

#define MCUBOOT_PURE_MAX (8u << 20) /* bytes of an image with a pure signature, which OpenSSL wants in one piece */

enum mcuboot_trust {
        MCUBOOT_TRUST_UNSIGNED,    /* no signature */
        MCUBOOT_TRUST_KEY_UNKNOWN, /* signed, by a key that is not configured: not checked */
        MCUBOOT_TRUST_UNCHECKABLE, /* signed over a plain body that only the device can see */
        MCUBOOT_TRUST_VERIFIED,
};

struct mcuboot_verdict {
        enum mcuboot_trust trust;
        uint16_t type;         /* of the signature that the verdict is about, enum mcuboot_tlv_type; 0 = unsigned */
        uint8_t key_hash_size; /* of its key as the image tells it; 0 = not told */
        uint8_t key_hash[GW_HASH_MAX];
        size_t n_keys;          /* that it was held against */
        const char *key_name;   /* of the configured key, lent from the keys; NULL unless verified */
        const char *sample_key; /* name of the published sample key that one of the signatures is made with, or NULL */
};

/* What the signatures of one image are about; all lent. */
struct mcuboot_signed {
        const struct source *source;
        const struct mcuboot_header *header;
        const struct mcuboot_tlvs *tlvs;
};

/* image-signature-invalid, file-too-large (pure signatures): -EBADMSG; others when the file cannot be read. */
int mcuboot_signatures_check(const struct mcuboot_signed *image, const struct mcuboot_keys *keys, struct mcuboot_verdict *ret_verdict,
                             struct gw_error *err);

/* "ed25519", "rsa-2048", ... */
const char *mcuboot_signature_kind_name(uint16_t type);
