/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Files and rows at start. The files are the truth, since a file has the name of its digest only after that was checked and synced:
 *
 *     file, no row or an incomplete one     crash between rename and row: the row is made
 *     row says complete, no such file       the row goes
 *     part file with a row                  stays; hashed again when it is fetched on
 *     part file without a row               whose beginning it is nobody knows: it goes
 *     import-*.tmp                          it goes
 */
#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "artifact/artifact_internal.h"
#include "base/str.h"

static int load_row(void *ctx, struct artifact_row *row) {
        struct artifacts *artifacts = ctx;
        struct artifact *artifact = calloc(1, sizeof *artifact);

        if (!artifact)
                return -ENOMEM;
        artifact->row = *row;
        artifact->stored = true;
        *row = (struct artifact_row){ 0 };
        list_append(&artifacts->known, &artifact->node);
        return 0;
}

static bool parse_name(const char *name, const char *suffix, uint8_t ret_sha256[DIGEST_SIZE]) {
        char hex[DIGEST_HEX_SIZE];

        if (strlen(name) != DIGEST_HEX_SIZE - 1 + strlen(suffix) || !str_ends_with(name, suffix))
                return false;
        (void) str_copy_n(hex, sizeof hex, name, DIGEST_HEX_SIZE - 1);
        return str_hex_decode(ret_sha256, DIGEST_SIZE, hex) >= 0;
}

static int mend_complete(struct artifacts *artifacts, const uint8_t *sha256, const struct stat *status) {
        struct artifact *artifact = artifacts_find_or_add(artifacts, sha256);

        if (!artifact)
                return -ENOMEM;
        if (artifact->row.complete && artifact->row.size == status->st_size)
                return 0;
        if (artifact->row.complete || status->st_size == 0) { /* changed behind our back */
                artifact_drop_files(artifacts, artifact);
                return 0;
        }
        artifact->row.size = artifact->row.received = status->st_size;
        artifact->row.complete = true;
        artifact_save(artifacts, artifact);
        return 0;
}

static int mend_part(struct artifacts *artifacts, const char *name, const uint8_t *sha256, const struct stat *status) {
        struct artifact *artifact = artifacts_find(artifacts, sha256);

        if (artifact && artifact->stored && !artifact->row.complete)
                artifact->row.received = status->st_size;
        else
                (void) unlinkat(artifacts->directory_fd, name, 0);
        return 0;
}

static int mend_file(struct artifacts *artifacts, const char *name, bool parts) {
        uint8_t sha256[DIGEST_SIZE];
        struct stat status;

        if (fstatat(artifacts->directory_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(status.st_mode))
                return 0;
        if (!parts && fnmatch("import-*.tmp", name, 0) == 0)
                (void) unlinkat(artifacts->directory_fd, name, 0);
        else if (!parts && parse_name(name, "", sha256))
                return mend_complete(artifacts, sha256, &status);
        else if (parts && parse_name(name, ".part", sha256))
                return mend_part(artifacts, name, sha256, &status);
        return 0;
}

static int mend_files(struct artifacts *artifacts, bool parts) {
        _cleanup_closedir_ DIR *directory = opendir(artifacts->directory);
        struct dirent *entry;
        int r = 0;

        if (!directory)
                return -errno;
        while (r >= 0 && (entry = readdir(directory)))
                r = mend_file(artifacts, entry->d_name, parts);
        return r;
}

static bool has_file(struct artifacts *artifacts, const struct artifact *artifact) {
        char name[PART_FILE_NAME_SIZE];

        part_file_name(artifact->row.sha256, artifact->row.complete, name);
        return faccessat(artifacts->directory_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void mend_rows(struct artifacts *artifacts) {
        struct artifact *artifact, *spare;

        LIST_FOREACH_SAFE(artifact, spare, &artifacts->known, node) {
                if (artifact->stored && !has_file(artifacts, artifact))
                        artifact_drop_files(artifacts, artifact);
                artifact_forget_if_empty(artifact);
        }
}

int artifacts_mend(struct artifacts *artifacts) {
        int r;

        r = artifact_table_each(artifacts->store, load_row, artifacts);
        if (r >= 0)
                r = mend_files(artifacts, false);
        if (r >= 0)
                r = mend_files(artifacts, true);
        if (r >= 0)
                mend_rows(artifacts);
        return r;
}
