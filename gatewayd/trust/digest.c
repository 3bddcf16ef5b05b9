/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/digest.h"

#include <openssl/evp.h>
#include <stdbool.h>
#include <unistd.h>

#define FILE_CHUNK_SIZE (256u * 1024u)

struct digest {
        EVP_MD_CTX *context;
        bool started;
};

int digest_new(struct digest **ret_digest) {
        _cleanup_digest_ struct digest *digest = calloc(1, sizeof *digest);

        if (!digest)
                return -ENOMEM;
        digest->context = EVP_MD_CTX_new();
        if (!digest->context)
                return -ENOMEM;
        *ret_digest = TAKE_PTR(digest);
        return 0;
}

void digest_free(struct digest *digest) {
        if (!digest)
                return;
        EVP_MD_CTX_free(digest->context);
        free(digest);
}

static int start(struct digest *digest) {
        if (digest->started)
                return 0;
        if (EVP_DigestInit_ex(digest->context, EVP_sha256(), NULL) != 1)
                return -ENOMEM;
        digest->started = true;
        return 0;
}

int digest_update(struct digest *digest, const void *data, size_t size) {
        int r = start(digest);

        if (r < 0)
                return r;
        return EVP_DigestUpdate(digest->context, data, size) == 1 ? 0 : -EIO;
}

int digest_finish(struct digest *digest, uint8_t ret_digest[DIGEST_SIZE]) {
        unsigned size = 0;
        int r = start(digest);

        if (r < 0)
                return r;
        digest->started = false;
        return EVP_DigestFinal_ex(digest->context, ret_digest, &size) == 1 && size == DIGEST_SIZE ? 0 : -EIO;
}

void digest_sha256(const void *data, size_t size, uint8_t ret_digest[DIGEST_SIZE]) {
        if (EVP_Digest(data, size, ret_digest, NULL, EVP_sha256(), NULL) != 1)
                abort();
}

int digest_file(int fd, uint64_t offset, uint64_t size, uint8_t ret_digest[DIGEST_SIZE]) {
        _cleanup_digest_ struct digest *digest = NULL;
        _cleanup_free_ uint8_t *chunk = malloc(FILE_CHUNK_SIZE);
        int r;

        if (!chunk)
                return -ENOMEM;
        r = digest_new(&digest);
        while (r >= 0 && size > 0) {
                ssize_t n = pread(fd, chunk, MIN(size, FILE_CHUNK_SIZE), (off_t) offset);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                r = digest_update(digest, chunk, n);
                offset += n;
                size -= n;
        }
        return r < 0 ? r : digest_finish(digest, ret_digest);
}
