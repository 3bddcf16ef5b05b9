/* SPDX-License-Identifier: Apache-2.0 */
#include "common/mcuboot/sample_keys.h"

#include <stdio.h>
#include <string.h>

/* Hash of the public half in the form that imgtool hashes, with SHA-256 and, for keys that may be used with another hash, that one. */
static const struct {
        const char *name;
        const char *hash;
} sample_keys[] = {
        {"root-rsa-2048", "fc5701dc6135e1323847bdc40f04d2e5bee5833b23c29f93593d00018cfa9994"},
        {"root-rsa-3072", "449793fb65cd7698753d5b3f35fab15f1e3a45111ff24e1d46741de5ae12d59e"},
        {"root-ec-p256", "e30466f6b8470c1f29070b17f1e2d3e94d445e3f608087fdc711e4382bb538b6"},
        {"root-ec-p256", "73590e9134e142c440ef5aa3260dd6e3923a9c367a2de9da685891713babcca2c8de576ea0b8d865b42b47c27ef4d411893986eab8a0a5724"
                         "ed5fe47a7b4ba8b"},
        {"root-ec-p384", "6bcd1e16d80e5fe13a5307e6f1de8344c7e50e537d9962ce35ef6db5e642fae8"},
        {"root-ec-p384", "85b7bd5f5dff9a03a99927adaf6ca6febde822c1a480928324a8e60323715c5779461c496a95aee8c4f90b99779f848a"},
        {"root-ed25519", "c1907fa4eac7fae3840a78902b6f0710b037e9968e5c6274a12a28790c7d4e3c"},
        {"root-ed25519", "e3e129b49f1218e18e4614acb2523389c75852ebb98b4d2c6171a2fc65706ba3d1ddf85f52e71450c3e572e624695fafd41ce4d9354d6c2b1"
                         "9f7d6001a6ae8b0"},
        {"root-ed25519-2", "6754edab1e29affef4a05935adecbeb1a7b8b62397b31e39a61b5bfcaafd63af"},
        {"root-ed25519-2", "e11ed22583de283392266b917bd82e88486edf47bc58c7ce8e42f9fb90e1daa900e72f172e4bd4fb19fc1870638e3a89c3f033ef4db6f62"
                           "35d02ee623b4b2924"},
        {"root-ed25519-unknown", "b1d87d60173352b9a4808979790fc699fb4c4f83b49cf1970edd96ff4adc36a6"},
        {"root-ed25519-unknown", "37491781699741ec96e7faaf03c04e70f135f2f8b1f09d5a2a53667115052331e6a8abd3310476e7fbedf676feb9e8bcff7ff5366"
                                 "e8470714c0ef4c582941881"},
        {"cypress-test-ec-p256", "bb868a727f0ef75e890a6a52bccd1d936fb34438afd6f237e8af259865742446"},
};

const char *mcuboot_sample_key_name(const uint8_t *hash, size_t hash_size) {
        char text[129] = "";
        if (hash_size == 0 || hash_size > 64)
                return NULL;
        for (size_t i = 0; i < hash_size; i++)
                snprintf(text + 2 * i, sizeof text - 2 * i, "%02x", hash[i]);
        for (size_t i = 0; i < sizeof sample_keys / sizeof sample_keys[0]; i++)
                if (strcmp(sample_keys[i].hash, text) == 0)
                        return sample_keys[i].name;
        return NULL;
}
