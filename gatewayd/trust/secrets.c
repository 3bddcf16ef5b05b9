/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

int secret_read(const char *path, char *dst, size_t size, struct gw_error *err) {
        _cleanup_close_ int fd = -1;
        struct stat status;
        ssize_t n;

        if (!path || !*path)
                return 0;
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0 || fstat(fd, &status) < 0) {
                gw_error_set(err, "credentials-unreadable", "%s: %s", path, strerror(errno));
                return -EACCES;
        }
        if (!S_ISREG(status.st_mode) || (status.st_mode & 077)) {
                gw_error_set(err, "credentials-unreadable", "%s must be a file of mode 0600, others may read or change it", path);
                return -EACCES;
        }
        n = read(fd, dst, size - 1);
        if (n <= 0 || (size_t) n == size - 1) {
                explicit_bzero(dst, size);
                gw_error_set(err, "credentials-unreadable", "%s is %s", path, n > 0 ? "too long" : "empty");
                return -EACCES;
        }
        dst[n] = '\0';
        dst[strcspn(dst, "\r\n")] = '\0';
        return 0;
}

void secrets_forget(struct secrets *secrets) {
        explicit_bzero(secrets, sizeof *secrets);
}

int secrets_read(const struct settings_credentials *credentials, struct secrets *ret_secrets, struct gw_error *err) {
        int r;

        *ret_secrets = (struct secrets){ .password = "" };
        r = secret_read(credentials->password_file, ret_secrets->password, sizeof ret_secrets->password, err);
        return r < 0 ? r : secret_read(credentials->bearer_file, ret_secrets->bearer, sizeof ret_secrets->bearer, err);
}

static const char *text_or_null(const char *text) {
        return text && *text ? text : NULL;
}

void secrets_apply(const struct settings_credentials *credentials, const struct secrets *secrets, struct http_request *request) {
        request->user = text_or_null(credentials->user);
        request->password = text_or_null(secrets->password);
        request->bearer = text_or_null(secrets->bearer);
        request->client_certificate = text_or_null(credentials->client_cert);
        request->client_key = text_or_null(credentials->client_key);
        if (text_or_null(credentials->ca_file))
                request->ca_file = credentials->ca_file;
}
