/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buffer.h"

static int unreadable(struct failure *failure, const char *path, int error) {
        return failure_set(failure, EXIT_CODE_REFUSED, "file-unreadable", "%s: %s", path, strerror(error));
}

int file_open(const char *path, int *ret_fd, uint64_t *ret_size, struct failure *failure) {
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        struct stat stat;

        if (fd < 0 || fstat(fd, &stat) < 0)
                return unreadable(failure, path, errno);
        if (!S_ISREG(stat.st_mode))
                return failure_set(failure, EXIT_CODE_REFUSED, "file-unreadable", "%s is no regular file", path);
        *ret_fd = TAKE_FD(fd);
        *ret_size = (uint64_t) stat.st_size;
        return 0;
}

static int read_all(const char *path, int fd, struct buffer *text, struct failure *failure) {
        uint8_t chunk[16384];
        ssize_t n;

        while ((n = read(fd, chunk, sizeof chunk)) != 0) {
                int r = n < 0 ? 0 : buffer_append(text, chunk, (size_t) n);
                if (n < 0 && errno != EINTR)
                        return unreadable(failure, path, errno);
                if (r == -E2BIG)
                        return failure_set(failure, EXIT_CODE_REFUSED, "file-too-large", "%s is larger than %zu bytes", path, text->limit);
                if (r < 0)
                        return failure_errno(failure, r);
        }
        return 0;
}

int file_read(const char *path, size_t size_max, char **ret_text, size_t *ret_size, struct failure *failure) {
        _cleanup_buffer_ struct buffer text = BUFFER_INIT(size_max);
        bool standard_input = strcmp(path, "-") == 0;
        _cleanup_close_ int fd = -1;
        uint64_t size;
        char *copy;
        int r = standard_input ? 0 : file_open(path, &fd, &size, failure);

        if (r == 0)
                r = read_all(path, standard_input ? STDIN_FILENO : fd, &text, failure);
        if (r < 0)
                return r;
        copy = malloc(buffer_size(&text) + 1);
        if (!copy)
                return failure_errno(failure, -ENOMEM);
        memcpy(copy, buffer_data(&text), buffer_size(&text));
        copy[buffer_size(&text)] = '\0';
        *ret_text = copy;
        *ret_size = buffer_size(&text);
        return 0;
}

const char *file_name(const char *path) {
        const char *slash = strrchr(path, '/');

        return slash && slash[1] ? slash + 1 : path;
}
