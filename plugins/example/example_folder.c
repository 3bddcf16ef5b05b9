/* SPDX-License-Identifier: Apache-2.0 */
#include "example_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_FLAGS (O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) /* neither a link nor a pipe leads us elsewhere */

static int open_folder(const struct folder_work *work) {
        int folder = open(work->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return folder < 0 ? -errno : folder;
}

int folder_look(struct folder_work *work) {
        int folder = open_folder(work);

        if (folder >= 0)
                close(folder);
        return folder < 0 ? folder : 0;
}

static int read_file(struct folder_work *work, const char *name) {
        int r = 0, folder = open_folder(work), fd;

        if (folder < 0)
                return folder;
        work->file = (struct example_file){ 0 };
        fd = openat(folder, name, O_RDONLY | FILE_FLAGS);
        if (fd >= 0)
                r = example_file_read(fd, &work->file);
        else if (errno != ENOENT)
                r = -errno;
        if (fd >= 0)
                close(fd);
        close(folder);
        return r;
}

int folder_read(struct folder_work *work) {
        return read_file(work, "firmware");
}

int folder_read_new(struct folder_work *work) {
        return read_file(work, "firmware.new");
}

/* What lies behind `at` was never reported as written and is not trusted. */
static int copy_to(struct folder_work *work, int fd, char *buffer) {
        struct stat status;
        size_t size;
        ssize_t n;

        if (fstat(fd, &status) < 0)
                return -errno;
        if ((uint64_t) status.st_size < work->at)
                work->at = 0;
        if (ftruncate(fd, (off_t) work->at) < 0)
                return -errno;
        size = work->size - work->at < work->slice ? (size_t) (work->size - work->at) : work->slice;
        n = pread(work->fd, buffer, size, (off_t) (work->offset + work->at));
        if (n == 0)
                return -EIO; /* the artifact is shorter than it says */
        if (n > 0)
                n = pwrite(fd, buffer, (size_t) n, (off_t) work->at);
        if (n < 0 || fdatasync(fd) < 0)
                return -errno;
        work->at += (uint64_t) n;
        return 0;
}

int folder_copy(struct folder_work *work) {
        int r = -ENOMEM, folder = open_folder(work), fd;
        char *buffer = malloc(work->slice);

        if (folder < 0) {
                free(buffer);
                return folder;
        }
        fd = openat(folder, "firmware.new", O_RDWR | O_CREAT | FILE_FLAGS, 0644);
        if (fd < 0)
                r = -errno;
        else if (buffer)
                r = copy_to(work, fd, buffer);
        if (fd >= 0)
                close(fd);
        close(folder);
        free(buffer);
        return r;
}

int folder_rename(struct folder_work *work) {
        int r, folder = open_folder(work);

        if (folder < 0)
                return folder;
        r = renameat(folder, "firmware.new", folder, "firmware") < 0 || fsync(folder) < 0 ? -errno : 0;
        close(folder);
        return r;
}

static bool is_device(DIR *folders, const char *name) {
        static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
        char path[GW_KEY_MAX + sizeof "/firmware"];

        if (name[0] == '.' || strlen(name) > GW_KEY_MAX || strspn(name, allowed) != strlen(name))
                return false;
        snprintf(path, sizeof path, "%s/firmware", name);
        return faccessat(dirfd(folders), path, R_OK, 0) == 0;
}

int folder_scan(struct folder_work *work) {
        DIR *folders = opendir(work->folder);
        const struct dirent *entry;

        if (!folders)
                return -errno;
        while (work->n_found < FOLDER_FOUND_MAX && (entry = readdir(folders)))
                if (is_device(folders, entry->d_name))
                        memcpy(work->found[work->n_found++], entry->d_name, strlen(entry->d_name) + 1);
        closedir(folders);
        return 0;
}
