/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>
#include <time.h>

#include "base/str.h"
#include "base/time.h"
#include "loop/worker.h"
#include "trust/tls_internal.h"

#define DAY_MS ((int64_t) 24 * 60 * 60 * 1000)

int64_t tls_time_ms(const ASN1_TIME *time) {
        struct tm broken_down;

        if (!time || ASN1_TIME_to_tm(time, &broken_down) != 1)
                return 0;
        return (int64_t) timegm(&broken_down) * 1000;
}

int64_t tls_days_left(int64_t not_after_ms, int64_t now_wall_ms) {
        int64_t left_ms = not_after_ms - now_wall_ms;

        return left_ms / DAY_MS - (left_ms % DAY_MS < 0 ? 1 : 0);
}

/* Where the row of this certificate is, or where the one that has to give way is. */
static size_t find_row(const struct tls *tls, const struct tls_certificate_row *row) {
        for (size_t i = 0; i < tls->n_rows; i++)
                if (tls->rows[i].is_ours == row->is_ours && str_equal(tls->rows[i].use, row->use) && str_equal(tls->rows[i].peer, row->peer))
                        return i;
        return MIN(tls->n_rows, (size_t) TLS_CERTIFICATES_MAX - 1);
}

void tls_certificates_note(struct tls *tls, const struct tls_certificate_row *row) {
        size_t i;

        pthread_mutex_lock(&tls->mutex);
        i = find_row(tls, row);
        tls->n_rows = MAX(tls->n_rows, i + 1);
        memmove(&tls->rows[1], &tls->rows[0], i * sizeof tls->rows[0]);
        tls->rows[0] = *row;
        tls->rows[0].seen_ms = time_now_wall_ms();
        pthread_mutex_unlock(&tls->mutex);
}

void tls_certificates_each(struct tls *tls, void (*each)(void *ctx, const struct tls_certificate *certificate), void *ctx) {
        struct tls_certificate_row rows[TLS_CERTIFICATES_MAX];
        size_t n_rows;

        pthread_mutex_lock(&tls->mutex);
        n_rows = tls->n_rows;
        memcpy(rows, tls->rows, n_rows * sizeof rows[0]);
        pthread_mutex_unlock(&tls->mutex);
        for (int ours = 0; ours <= 1; ours++)
                for (size_t i = 0; i < n_rows; i++)
                        if (rows[i].is_ours == (bool) ours)
                                each(ctx, &(struct tls_certificate){ .use = rows[i].use,
                                                                     .peer = rows[i].peer,
                                                                     .is_ours = rows[i].is_ours,
                                                                     .not_after_ms = rows[i].not_after_ms,
                                                                     .seen_ms = rows[i].seen_ms,
                                                                     .error = rows[i].error });
}

/* ---- our own, out of files */

struct own_reading {
        struct tls *tls; /* a reference */
        size_t n_rows;
        struct tls_certificate_row rows[TLS_CERTIFICATES_MAX];
};

static void read_row(struct tls_certificate_row *row) {
        _cleanup_fclose_ FILE *file = fopen(row->peer, "re");
        X509 *certificate = file ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;

        if (certificate)
                row->not_after_ms = tls_time_ms(X509_get0_notAfter(certificate));
        else
                row->error = "credentials-unreadable";
        X509_free(certificate);
        ERR_clear_error();
}

static void read_on_worker(void *ctx) {
        struct own_reading *reading = ctx;

        for (size_t i = 0; i < reading->n_rows; i++)
                read_row(&reading->rows[i]);
}

static void forget_own(struct tls *tls) {
        size_t n_kept = 0;

        pthread_mutex_lock(&tls->mutex);
        for (size_t i = 0; i < tls->n_rows; i++)
                if (!tls->rows[i].is_ours)
                        tls->rows[n_kept++] = tls->rows[i];
        tls->n_rows = n_kept;
        pthread_mutex_unlock(&tls->mutex);
}

static void own_is_read(void *ctx, int result) {
        struct own_reading *reading = ctx;

        if (result >= 0)
                forget_own(reading->tls);
        for (size_t i = reading->n_rows; result >= 0 && i-- > 0;)
                tls_certificates_note(reading->tls, &reading->rows[i]);
        tls_unreference(reading->tls);
        free(reading);
}

int tls_read_own(struct tls *tls, const struct tls_own_file *files, size_t n_files) {
        struct own_reading *reading = calloc(1, sizeof *reading);
        int r;

        if (!reading)
                return -ENOMEM;
        reading->tls = tls_reference(tls);
        reading->n_rows = MIN(n_files, (size_t) TLS_CERTIFICATES_MAX / 2);
        for (size_t i = 0; i < reading->n_rows; i++) {
                reading->rows[i].is_ours = true;
                (void) str_copy(reading->rows[i].use, sizeof reading->rows[i].use, files[i].use);
                (void) str_copy(reading->rows[i].peer, sizeof reading->rows[i].peer, files[i].path);
        }
        r = worker_start(tls->loop, read_on_worker, own_is_read, reading, NULL);
        if (r < 0) {
                tls_unreference(tls);
                free(reading);
        }
        return r;
}
