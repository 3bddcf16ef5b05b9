/* SPDX-License-Identifier: Apache-2.0 */
#include "sign.h"

#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/wait.h>

#include "base/str.h"
#include "commands.h"

#define SIGNATURE_READ_MAX 4096
#define JTI_BYTES 16

extern char **environ;

struct signer {
        struct key *key;        /* private; NULL: a program signs */
        struct key *public_key; /* that signatures are checked with; NULL: key itself does */
        char *external;
        char kid[STR_ID_MAX + 1];
};

void signer_free(struct signer *signer) {
        if (!signer)
                return;
        key_free(signer->key);
        key_free(signer->public_key);
        free(signer->external);
        free(signer);
}

const char *signer_kid(const struct signer *signer) {
        return signer->kid;
}

/* --- who signs --- */

static bool is_token(const char *key) {
        return str_starts_with(key, "pkcs11:");
}

static int usage(struct failure *failure, const char *text) {
        return failure_set(failure, EXIT_CODE_USAGE, "usage", "%s", text);
}

static int check_options(const struct signer_options *options, struct failure *failure) {
        if (!options->key && !options->external)
                return failure_set(failure, EXIT_CODE_USAGE, "signature-required", "name who signs: --key FILE, --key pkcs11:... or --external CMD");
        if (options->key && options->external)
                return usage(failure, "--key and --external exclude each other");
        if (options->external && !options->pub)
                return usage(failure, "--external needs --pub FILE: the signature is checked before it is handed out");
        if (options->key && is_token(options->key) && !options->pub && !options->kid)
                return usage(failure, "a key in a token needs --kid ID, or --pub FILE");
        if (options->kid && !str_is_id(options->kid))
                return usage(failure, "--kid: expected 1 to 64 of A-Z a-z 0-9 _ . -");
        return 0;
}

/* r: of the reading of a key; path NULL: it is in no file. */
static int key_failure(struct failure *failure, int r, const char *path, struct gw_error *err) {
        if (!gw_error_is_set(err))
                return failure_errno(failure, r);
        if (path)
                gw_error_prefix(err, "%s", path);
        return failure_from(failure, err);
}

static int read_private(const char *path, struct key **ret_key, struct failure *failure) {
        _cleanup_free_ char *text = NULL;
        struct gw_error err = { 0 };
        size_t size;
        int r = file_read(path, KEY_FILE_SIZE_MAX, &text, &size, failure);

        if (r < 0)
                return r;
        r = key_read_private(text, size, ret_key, &err);
        explicit_bzero(text, size);
        return r < 0 ? key_failure(failure, r, path, &err) : 0;
}

static int open_private(struct signer *signer, const char *key, struct failure *failure) {
        struct gw_error err = { 0 };
        int r;

        if (!is_token(key))
                return read_private(key, &signer->key, failure);
        r = key_open_token(key, &signer->key, &err);
        return r < 0 ? key_failure(failure, r, NULL, &err) : 0;
}

/* As the gateway reads it, with its scope. */
static int open_public(struct signer *signer, const char *path, struct failure *failure) {
        struct keyring_key *key = NULL;
        _cleanup_free_ char *text = NULL;
        struct gw_error err = { 0 };
        size_t size;
        int r = file_read(path, KEY_FILE_SIZE_MAX, &text, &size, failure);

        if (r < 0)
                return r;
        r = keyring_key_parse(file_name(path), text, size, &key, &err);
        if (r < 0)
                return key_failure(failure, r, path, &err);
        signer->public_key = TAKE_PTR(key->key);
        (void) str_copy(signer->kid, sizeof signer->kid, key->kid);
        keyring_key_free(key);
        return 0;
}

/* "keys/ci.key" is the key of ci. */
static int name_signer(struct signer *signer, const struct signer_options *options, struct failure *failure) {
        const char *name = options->key ? file_name(options->key) : "";
        const char *end = strrchr(name, '.');

        if (options->kid)
                return str_copy(signer->kid, sizeof signer->kid, options->kid);
        if (signer->kid[0])
                return 0;
        (void) str_copy_n(signer->kid, sizeof signer->kid, name, end && end > name ? (size_t) (end - name) : strlen(name));
        return str_is_id(signer->kid) ? 0 : usage(failure, "the name of the key file gives no key id: name it with --kid ID");
}

int signer_new(const struct signer_options *options, struct signer **ret_signer, struct failure *failure) {
        _cleanup_signer_ struct signer *signer = NULL;
        int r = check_options(options, failure);

        if (r < 0)
                return r;
        signer = calloc(1, sizeof *signer);
        if (!signer)
                return failure_errno(failure, -ENOMEM);
        if (options->external) {
                signer->external = strdup(options->external);
                r = signer->external ? 0 : failure_errno(failure, -ENOMEM);
        } else {
                r = open_private(signer, options->key, failure);
        }
        if (r >= 0 && options->pub)
                r = open_public(signer, options->pub, failure);
        if (r >= 0)
                r = name_signer(signer, options, failure);
        if (r < 0)
                return r;
        *ret_signer = TAKE_PTR(signer);
        return 0;
}

/* --- a program signs --- */

static int failed(struct failure *failure, const char *what, int error) {
        return failure_set(failure, EXIT_CODE_REFUSED, "signer-failed", "%s: %s", what, strerror(error));
}

/* As a file, not a pipe: the program may read it when and how often it likes. */
static int input_file(const char *input, int *ret_fd) {
        _cleanup_close_ int fd = memfd_create("gatewayctl-sign", MFD_CLOEXEC);
        size_t size = strlen(input);

        for (size_t done = 0; fd >= 0 && done < size;) {
                ssize_t n = write(fd, input + done, size - done);

                if (n < 0)
                        return -errno;
                done += (size_t) n;
        }
        if (fd < 0 || lseek(fd, 0, SEEK_SET) < 0)
                return -errno;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static int spawn(const char *command, int input, int output, pid_t *ret_pid) {
        char *const argv[] = { (char *) "sh", (char *) "-c", (char *) command, NULL };
        posix_spawn_file_actions_t actions;
        int r = posix_spawn_file_actions_init(&actions);

        if (r != 0)
                return -r;
        posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
        posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
        r = posix_spawn(ret_pid, "/bin/sh", &actions, NULL, argv, environ);
        posix_spawn_file_actions_destroy(&actions);
        return -r;
}

/* Reads to the end, so that the program never waits for us. */
static ssize_t read_answer(int fd, uint8_t answer[SIGNATURE_READ_MAX]) {
        uint8_t more[512];
        size_t size = 0;
        ssize_t n;

        while ((n = size < SIGNATURE_READ_MAX ? read(fd, answer + size, SIGNATURE_READ_MAX - size) : read(fd, more, sizeof more)) != 0) {
                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n > 0 && size == SIGNATURE_READ_MAX)
                        size = SIGNATURE_READ_MAX + 1;
                else if (n > 0 && size < SIGNATURE_READ_MAX)
                        size += (size_t) n;
        }
        return (ssize_t) size;
}

static int check_end(pid_t pid, struct failure *failure) {
        int status;

        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return failed(failure, "the program cannot be waited for", errno);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
                return 0;
        if (WIFSIGNALED(status))
                return failure_set(failure, EXIT_CODE_REFUSED, "signer-failed", "the program was ended by signal %d", WTERMSIG(status));
        return failure_set(failure, EXIT_CODE_REFUSED, "signer-failed", "the program ended with code %d", WEXITSTATUS(status));
}

static int run_program(const char *command, const char *input, uint8_t answer[SIGNATURE_READ_MAX], size_t *ret_size, struct failure *failure) {
        _cleanup_close_ int in = -1, out = -1, into = -1;
        ssize_t size;
        int pipe_fds[2], r = input_file(input, &in);
        pid_t pid;

        if (r < 0 || pipe2(pipe_fds, O_CLOEXEC) < 0)
                return failed(failure, "the program cannot be given its input", r < 0 ? -r : errno);
        out = pipe_fds[0];
        into = pipe_fds[1];
        r = spawn(command, in, into, &pid);
        if (r < 0)
                return failed(failure, "the program cannot be started", -r);
        close(TAKE_FD(into));
        size = read_answer(out, answer);
        r = check_end(pid, failure);
        if (r < 0)
                return r;
        if (size < 0)
                return failed(failure, "the program's answer cannot be read", (int) -size);
        if (size > SIGNATURE_READ_MAX)
                return failure_set(failure, EXIT_CODE_REFUSED, "signer-failed", "the program wrote more than any signature");
        *ret_size = (size_t) size;
        return 0;
}

static int sign_external(const struct signer *signer, const char *input, uint8_t signature[KEY_SIGNATURE_SIZE], struct failure *failure) {
        uint8_t answer[SIGNATURE_READ_MAX];
        size_t size = 0;
        int r = run_program(signer->external, input, answer, &size, failure);

        if (r < 0)
                return r;
        if (key_signature_from(key_kind(signer->public_key), answer, size, signature) < 0)
                return failure_set(failure, EXIT_CODE_REFUSED, "signer-failed", "the program wrote %zu bytes, which are no signature of this kind of key",
                                   size);
        return 0;
}

/* --- signing --- */

static const struct key *public_key(const struct signer *signer) {
        return signer->public_key ? signer->public_key : signer->key;
}

static int sign_input(const struct signer *signer, const char *input, uint8_t signature[KEY_SIGNATURE_SIZE], struct failure *failure) {
        int r;

        if (signer->external)
                r = sign_external(signer, input, signature, failure);
        else if (key_sign(signer->key, input, strlen(input), signature) < 0)
                r = failure_set(failure, EXIT_CODE_REFUSED, "signer-failed", "the key gave no signature");
        else
                r = 0;
        if (r < 0)
                return r;
        if (!key_verify(public_key(signer), input, strlen(input), signature))
                return failure_set(failure, EXIT_CODE_REFUSED, "signer-mismatch", "the signature is not one of the public key of %s", signer->kid);
        return 0;
}

int signer_sign(struct signer *signer, const char *type, const void *payload, size_t size, char **ret_jws, struct failure *failure) {
        uint8_t signature[KEY_SIGNATURE_SIZE];
        _cleanup_free_ char *input = NULL;
        int r = jws_signing_input(key_kind(public_key(signer)), signer->kid, type, payload, size, &input);

        if (r == -E2BIG)
                return failure_set(failure, EXIT_CODE_REFUSED, "document-too-large", "signed it would be larger than %d bytes", JWS_TEXT_MAX);
        if (r < 0)
                return failure_errno(failure, r);
        r = sign_input(signer, input, signature, failure);
        if (r < 0)
                return r;
        r = jws_join(input, signature, ret_jws);
        return r < 0 ? failure_errno(failure, r) : 0;
}

int signer_sign_json(struct signer *signer, const char *type, const struct json *payload, char **ret_jws, struct failure *failure) {
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r = json_write(payload, &text, &size);

        return r < 0 ? failure_errno(failure, r) : signer_sign(signer, type, text, size, ret_jws, failure);
}

static int set_jti(struct json *payload) {
        uint8_t random[JTI_BYTES];
        char text[2 * JTI_BYTES + 1];

        if (getrandom(random, sizeof random, 0) != sizeof random)
                return -EIO;
        (void) str_hex_encode(text, sizeof text, random, sizeof random);
        return json_set_string(payload, "jti", text);
}

int sign_fill_claims(struct json *payload, const struct sign_claims *claims) {
        int64_t iat_s = claims->now_s;
        int r = 0;

        if (!json_has(payload, "iat"))
                r = json_set_int(payload, "iat", iat_s);
        else
                (void) json_member_int(payload, "iat", 0, INT64_MAX - claims->valid_s, &iat_s);
        if (r >= 0 && !json_has(payload, "exp"))
                r = json_set_int(payload, "exp", iat_s + claims->valid_s);
        if (r >= 0 && claims->with_jti && !json_has(payload, "jti"))
                r = set_jti(payload);
        return r;
}
