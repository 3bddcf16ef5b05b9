/* SPDX-License-Identifier: Apache-2.0 */
#include "common/mcuboot/image.h"

#include "common/mcuboot/package_note.h"

static void describe_signature(const struct mcuboot_verdict *verdict, const char *label, struct gw_package *package) {
        char key[2 * GW_HASH_MAX + 1];
        const char *kind = mcuboot_signature_kind_name(verdict->type);
        package_hex(key, 17, verdict->key_hash, verdict->key_hash_size);
        switch (verdict->trust) {
        case MCUBOOT_TRUST_UNSIGNED:
                package_fact(package, label, "signature", "none");
                if (verdict->n_keys)
                        package_warning(package, label, "not signed, although public keys are configured");
                break;
        case MCUBOOT_TRUST_KEY_UNKNOWN:
                package_fact(package, label, "signature", "%s, key %s%s (not checked: no such key is configured)", kind,
                             key[0] ? key : "not told", key[0] ? "..." : "");
                if (verdict->n_keys)
                        package_warning(package, label, "signed by none of the configured keys");
                break;
        case MCUBOOT_TRUST_UNCHECKABLE:
                package_fact(package, label, "signature", "%s, not checked: it is over the plain body", kind);
                break;
        case MCUBOOT_TRUST_VERIFIED:
                package_fact(package, label, "signature", "%s, key %s (verified)", kind, verdict->key_name);
                break;
        }
        if (verdict->sample_key)
                package_warning(package, label, "signed with MCUboot's published sample key %s: anybody can make such a signature",
                                verdict->sample_key);
}

static void describe_hash(const struct mcuboot_image *image, const char *label, struct gw_package *package) {
        if (image->hash_checked)
                package_fact(package, label, "hash", "sha%d, recomputed: fits", image->tlvs.hash_size * 8);
        else
                package_fact(package, label, "hash", "sha%d, not checked: it is of the plain body", image->tlvs.hash_size * 8);
}

static void describe_placement(const struct mcuboot_image *image, const char *label, struct gw_package *package) {
        const struct mcuboot_header *header = &image->header;
        package_fact(package, label, "header", "%u bytes", header->header_size);
        if (header->load_address)
                package_fact(package, label, "load-address", "0x%08x (%s)", header->load_address,
                             header->flags & MCUBOOT_RAM_LOAD ? "RAM" : "fixed");
        if (image->reset_vector)
                package_fact(package, label, "reset-vector", "0x%08x", image->reset_vector);
        if (header->flags & (MCUBOOT_LZMA1 | MCUBOOT_LZMA2))
                package_fact(package, label, "compressed", header->flags & MCUBOOT_LZMA2 ? "lzma2" : "lzma1");
        if (header->flags & MCUBOOT_NON_BOOTABLE)
                package_warning(package, label, "marked as not bootable");
}

static void describe_identity(const struct mcuboot_tlvs *tlvs, const char *label, struct gw_package *package) {
        char uuid[33];
        if (tlvs->has_security_counter)
                package_fact(package, label, "security-counter", "%u", tlvs->security_counter);
        package_hex(uuid, sizeof uuid, tlvs->vendor_uuid, sizeof tlvs->vendor_uuid);
        if (tlvs->has_vendor_uuid)
                package_fact(package, label, "vendor-id", "%s", uuid);
        package_hex(uuid, sizeof uuid, tlvs->class_uuid, sizeof tlvs->class_uuid);
        if (tlvs->has_class_uuid)
                package_fact(package, label, "class-id", "%s", uuid);
}

static void describe_padding(const struct mcuboot_image *image, const char *label, struct gw_package *package) {
        unsigned long long size = image->padding_size;
        switch (image->padding) {
        case MCUBOOT_PADDING_NONE:
                break;
        case MCUBOOT_PADDING_BLANK:
                package_fact(package, label, "padding", "%llu bytes behind the image, not uploaded", size);
                break;
        case MCUBOOT_PADDING_TRAILER:
                package_fact(package, label, "padding", "%llu bytes behind the image with a slot trailer, not uploaded", size);
                package_warning(package, label,
                                "image-padded: made for a programmer, to fill a whole slot; only the image itself is uploaded");
                break;
        }
}

void mcuboot_image_describe(const struct mcuboot_image *image, const char *label, struct gw_package *package) {
        static const struct mcuboot_version nothing = {};
        describe_signature(&image->verdict, label, package);
        describe_hash(image, label, package);
        if (mcuboot_header_encrypted(&image->header))
                package_fact(package, label, "encrypted", image->header.flags & MCUBOOT_ENCRYPTED_AES256 ? "aes-256" : "aes-128");
        describe_placement(image, label, package);
        describe_identity(&image->tlvs, label, package);
        describe_padding(image, label, package);
        if (mcuboot_version_compare(&image->header.version, &nothing) == 0)
                package_warning(package, label, "version 0.0.0: built without a version, so older and newer cannot be told apart");
}

int mcuboot_image_dependencies(const struct mcuboot_image *image, uint8_t of_image, struct gw_package *package, struct gw_error *err) {
        size_t room = sizeof package->dependencies / sizeof package->dependencies[0] - package->n_dependencies;
        if (image->tlvs.n_dependencies > room)
                return refuse(err, "image-malformed", "too many dependencies on other images");
        for (size_t i = 0; i < image->tlvs.n_dependencies; i++) {
                package->dependencies[package->n_dependencies].of_image = of_image;
                package->dependencies[package->n_dependencies].image = image->tlvs.dependencies[i].image;
                mcuboot_version_text(&image->tlvs.dependencies[i].minimum, package->dependencies[package->n_dependencies++].minimum);
        }
        return 0;
}
