/* SPDX-License-Identifier: Apache-2.0 */

/* Runs a fuzz target over every file of the folders and files named on the command line: the corpus as an ordinary test. */

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t replay_file(const char *path) {
        FILE *file = fopen(path, "rb");
        uint8_t *data = NULL;
        struct stat status;
        size_t n_read;
        if (!file || fstat(fileno(file), &status) < 0) {
                perror(path);
                exit(1);
        }
        /* Not a byte more, so that what reads over the end is noticed. */
        data = malloc(status.st_size > 0 ? (size_t) status.st_size : 1);
        if (!data)
                exit(1);
        n_read = fread(data, 1, (size_t) status.st_size, file);
        fclose(file);
        LLVMFuzzerTestOneInput(data, n_read);
        free(data);
        return 1;
}

static size_t replay(const char *path) {
        char name[4096];
        struct dirent *entry;
        size_t n_files = 0;
        DIR *folder = opendir(path);
        if (!folder)
                return replay_file(path);
        while ((entry = readdir(folder))) {
                if (entry->d_name[0] == '.')
                        continue;
                snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
                n_files += replay_file(name);
        }
        closedir(folder);
        return n_files;
}

int main(int argc, char **argv) {
        size_t n_files = 0;
        for (int i = 1; i < argc; i++)
                n_files += replay(argv[i]);
        printf("%zu inputs replayed\n", n_files);
        return n_files > 0 ? 0 : 1;
}
