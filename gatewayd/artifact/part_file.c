/* SPDX-License-Identifier: Apache-2.0 */
#include "artifact/part_file.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"

#define FILE_FLAGS (O_CLOEXEC | O_NOFOLLOW | O_NOCTTY)

void part_file_name(const uint8_t sha256[DIGEST_SIZE], bool complete, char ret_name[PART_FILE_NAME_SIZE]) {
        (void) str_hex_encode(ret_name, PART_FILE_NAME_SIZE, sha256, DIGEST_SIZE);
        if (!complete)
                strcat(ret_name, ".part");
}

void part_file_init(struct part_file *part, int directory_fd, const uint8_t sha256[DIGEST_SIZE]) {
        *part = (struct part_file){ .directory_fd = directory_fd, .fd = -1 };
        memcpy(part->sha256, sha256, DIGEST_SIZE);
}

void part_file_close(struct part_file *part) {
        if (part->fd >= 0) {
                if (part->allocated && ftruncate(part->fd, (off_t) part->received) < 0)
                        part->allocated = false; /* it stays set aside until the file goes; nothing else is lost */
                close(part->fd);
        }
        part->allocated = false;
        part->fd = -1;
        digest_free(TAKE_PTR(part->digest));
}

static int renew_digest(struct part_file *part) {
        digest_free(TAKE_PTR(part->digest));
        return digest_new(&part->digest);
}

int part_file_reset(struct part_file *part) {
        if (ftruncate(part->fd, 0) < 0)
                return -errno;
        part->received = 0;
        part->allocated = false;
        return renew_digest(part);
}

/* Room for the whole file now, rather than a full disk in the middle. Not every file system can. */
static int allocate(struct part_file *part, uint64_t size) {
        if (size == 0 || part->allocated)
                return 0;
        if (fallocate(part->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t) size) == 0) {
                part->allocated = true;
                return 0;
        }
        return errno == ENOSPC || errno == EDQUOT ? -ENOSPC : 0;
}

static int hash_present(struct part_file *part, uint64_t size) {
        _cleanup_free_ uint8_t *chunk = malloc(PART_FILE_COPY_SIZE);
        uint64_t at = 0;
        int r;

        if (!chunk)
                return -ENOMEM;
        r = renew_digest(part);
        while (r >= 0 && at < size) {
                ssize_t n = pread(part->fd, chunk, MIN(size - at, PART_FILE_COPY_SIZE), (off_t) at);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                r = digest_update(part->digest, chunk, n);
                at += n;
        }
        part->received = at;
        return r;
}

static int open_kept(struct part_file *part, bool keep, uint64_t size) {
        struct stat status;
        int r;

        if (fstat(part->fd, &status) < 0)
                return -errno;
        if (!S_ISREG(status.st_mode))
                return -EINVAL;
        if (!keep || (size > 0 && (uint64_t) status.st_size > size))
                r = part_file_reset(part);
        else
                r = hash_present(part, status.st_size);
        return r < 0 ? r : allocate(part, size);
}

int part_file_open(struct part_file *part, bool keep, uint64_t size) {
        char name[PART_FILE_NAME_SIZE];
        int r;

        part_file_name(part->sha256, false, name);
        part->fd = openat(part->directory_fd, name, O_RDWR | O_CREAT | FILE_FLAGS, 0600);
        if (part->fd < 0)
                return -errno;
        r = open_kept(part, keep, size);
        if (r < 0)
                part_file_close(part);
        return r;
}

int part_file_write(struct part_file *part, const void *data, size_t size, bool sync) {
        const uint8_t *bytes = data;
        int r;

        while (size > 0) {
                ssize_t n = pwrite(part->fd, bytes, size, (off_t) part->received);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                r = digest_update(part->digest, bytes, n);
                if (r < 0)
                        return r;
                part->received += n;
                bytes += n;
                size -= n;
        }
        return sync && fdatasync(part->fd) < 0 ? -errno : 0;
}

/* In this order: the bytes are on the disk before the name says that they are. */
static int keep_file(int directory_fd, int fd, const char *from, const char *to) {
        if (fdatasync(fd) < 0 || renameat(directory_fd, from, directory_fd, to) < 0 || fsync(directory_fd) < 0)
                return -errno;
        return 0;
}

int part_file_finish(struct part_file *part) {
        char from[PART_FILE_NAME_SIZE], to[PART_FILE_NAME_SIZE];
        uint8_t sha256[DIGEST_SIZE];
        int r;

        r = digest_finish(part->digest, sha256);
        if (r < 0)
                return r;
        if (memcmp(sha256, part->sha256, sizeof sha256) != 0)
                return -EBADMSG;
        part_file_name(part->sha256, false, from);
        part_file_name(part->sha256, true, to);
        /* Gives back what fallocate() set aside beyond the end. */
        if (ftruncate(part->fd, (off_t) part->received) < 0)
                return -errno;
        r = keep_file(part->directory_fd, part->fd, from, to);
        if (r >= 0)
                part_file_close(part);
        return r;
}

/* ---- copies */

static int write_all(int fd, const uint8_t *data, size_t size) {
        while (size > 0) {
                ssize_t n = write(fd, data, size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                data += n;
                size -= n;
        }
        return 0;
}

static int copy_bytes(struct part_copy *copy, int fd, struct digest *digest) {
        _cleanup_free_ uint8_t *chunk = malloc(PART_FILE_COPY_SIZE);
        uint64_t at = 0;
        int r = 0;

        if (!chunk)
                return -ENOMEM;
        while (r >= 0 && at < copy->size) {
                ssize_t n;

                if (atomic_load(&copy->canceled))
                        return -ECANCELED;
                n = pread(copy->source_fd, chunk, MIN(copy->size - at, PART_FILE_COPY_SIZE), (off_t) at);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -EREMOTEIO : -ENODATA;
                r = digest_update(digest, chunk, n);
                if (r >= 0)
                        r = write_all(fd, chunk, n);
                at += n;
        }
        return r;
}

static int copy_to(struct part_copy *copy, int fd, const char *temporary) {
        _cleanup_digest_ struct digest *digest = NULL;
        char name[PART_FILE_NAME_SIZE];
        int r;

        if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t) copy->size) < 0 && (errno == ENOSPC || errno == EDQUOT))
                return -ENOSPC;
        r = digest_new(&digest);
        if (r >= 0)
                r = copy_bytes(copy, fd, digest);
        if (r >= 0)
                r = digest_finish(digest, copy->sha256);
        if (r < 0)
                return r;
        part_file_name(copy->sha256, true, name);
        return keep_file(copy->directory_fd, fd, temporary, name);
}

int part_copy_run(struct part_copy *copy) {
        _cleanup_close_ int fd = -1;
        char temporary[32];
        int r;

        (void) str_format(temporary, sizeof temporary, "import-%u.tmp", copy->number);
        fd = openat(copy->directory_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | FILE_FLAGS, 0600);
        if (fd < 0)
                return -errno;
        r = copy_to(copy, fd, temporary);
        if (r < 0)
                (void) unlinkat(copy->directory_fd, temporary, 0);
        return r;
}
