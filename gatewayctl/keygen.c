/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/str.h"
#include "commands.h"
#include "trust/keyring.h"

/* A pair of keys in two files: NAME.key stays with whoever signs, NAME.pub goes onto the gateways. */

static int cannot_write(struct failure *failure, const char *path, int error) {
        if (error == EEXIST)
                return failure_set(failure, EXIT_CODE_REFUSED, "file-exists", "%s exists", path);
        return failure_set(failure, EXIT_CODE_REFUSED, "output-failed", "%s: %s", path, strerror(error));
}

/* Whole and on the disk, or not there. */
static int write_new(const char *path, mode_t mode, const char *text, struct failure *failure) {
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
        size_t size = strlen(text);

        if (fd < 0)
                return cannot_write(failure, path, errno);
        if (fchmod(fd, mode) < 0 || write(fd, text, size) != (ssize_t) size || fsync(fd) < 0) {
                int error = errno ? errno : EIO;

                unlink(path);
                return cannot_write(failure, path, error);
        }
        return 0;
}

static int print_pair(struct session *session, const struct key *key, const char *private_path, const char *public_path, struct failure *failure) {
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT(TEXT_LIMIT);
        uint8_t fingerprint[DIGEST_SIZE];
        char hex[DIGEST_HEX_SIZE];

        key_fingerprint(key, fingerprint);
        (void) str_hex_encode(hex, sizeof hex, fingerprint, sizeof fingerprint);
        if (session->json) {
                _cleanup_members_ struct members members = members_new();

                members_text(&members, "type", key_kind_name(key_kind(key)));
                members_text(&members, "fingerprint", hex);
                members_text(&members, "private", private_path);
                members_text(&members, "public", public_path);
                return members.error < 0 ? failure_errno(failure, members.error) : session_print_json(session, members.json, failure);
        }
        strbuf_appendf(&out,
                       "%s: the private key (%s). Whoever has it can update your devices: keep it where you sign, never on a gateway.\n"
                       "%s: the public key, fingerprint %s.\n"
                       "\n"
                       "On every gateway:\n"
                       "  sudo install -m 644 -D -t " KEYRING_DEFAULT_DIR " %s\n"
                       "  sudo gatewayctl gateway reload\n",
                       private_path, key_kind_name(key_kind(key)), public_path, hex, public_path);
        return session_print(session, &out, failure);
}

static int write_pair(struct session *session, const struct key *key, const char *name, struct failure *failure) {
        _cleanup_free_ char *private_path = NULL, *public_path = NULL, *private_pem = NULL, *public_pem = NULL;
        int r;

        if (asprintf(&private_path, "%s.key", name) < 0 || asprintf(&public_path, "%s.pub", name) < 0)
                return failure_errno(failure, -ENOMEM);
        r = key_write_private(key, &private_pem);
        if (r >= 0)
                r = key_write_public(key, &public_pem);
        if (r < 0)
                return failure_errno(failure, r);
        /* The public half first: that one may be made again from the other. */
        r = write_new(public_path, 0644, public_pem, failure);
        if (r >= 0) {
                r = write_new(private_path, 0600, private_pem, failure);
                if (r < 0)
                        unlink(public_path);
        }
        explicit_bzero(private_pem, strlen(private_pem));
        return r < 0 ? r : print_pair(session, key, private_path, public_path, failure);
}

int run_keygen(struct session *session, struct failure *failure) {
        const char *name = arguments_at(session->arguments, 0), *type = arguments_text(session->arguments, "type");
        enum key_kind kind = KEY_ED25519;
        _cleanup_key_ struct key *key = NULL;
        int r;

        if (!str_is_id(file_name(name)))
                return failure_set(failure, EXIT_CODE_USAGE, "usage", "NAME is the id of the key: 1 to 64 of A-Z a-z 0-9 _ . -");
        if (type)
                (void) key_kind_parse(type, &kind); /* one of the choices */
        r = key_generate(kind, &key);
        return r < 0 ? failure_errno(failure, r) : write_pair(session, key, name, failure);
}
