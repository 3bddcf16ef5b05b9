/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <time.h>

#include "base/str.h"
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
                                                                     .error = rows[i].error });
}
