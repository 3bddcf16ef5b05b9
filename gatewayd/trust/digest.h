/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * SHA-256, streaming and in one go. The only way in the daemon to a digest. Usable on any thread, one object on one at a time.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

#define DIGEST_SIZE 32
#define DIGEST_HEX_SIZE (2 * DIGEST_SIZE + 1) /* lower case, with NUL */

struct digest;

int digest_new(struct digest **ret_digest); /* -ENOMEM */
void digest_free(struct digest *digest);
DEFINE_CLEANUP(struct digest *, digest_free);
#define _cleanup_digest_ _cleanup_(digest_freep)

int digest_update(struct digest *digest, const void *data, size_t size);
/* The digest of all so far; the object then starts anew. */
int digest_finish(struct digest *digest, uint8_t ret_digest[DIGEST_SIZE]);

/* Never fails (aborts where the library has no SHA-256 at all). */
void digest_sha256(const void *data, size_t size, uint8_t ret_digest[DIGEST_SIZE]);
/* Reads size bytes of fd from offset with pread; blocks: on a worker. -EIO when the file is shorter. */
int digest_file(int fd, uint64_t offset, uint64_t size, uint8_t ret_digest[DIGEST_SIZE]);
