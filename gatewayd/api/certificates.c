/* SPDX-License-Identifier: Apache-2.0 */
#include "api/certificates.h"

#include <inttypes.h>

#include "base/str.h"

#define DAY_MS INT64_C(86400000)

/* --- what is wrong with one --- */

static void judge_term(struct certificate_view *view, int64_t now_ms, int64_t warning_ms) {
        const struct tls_certificate *certificate = view->certificate;
        const char *whose = certificate->is_ours ? "our certificate" : "the certificate of";
        if (certificate->not_after_ms <= now_ms)
                gw_error_set(&view->error, certificate->is_ours ? "client-certificate-expired" : "peer-certificate-expired", "%s %s (%s) expired %" PRId64 " days ago",
                             whose, certificate->peer, certificate->use, -(view->days_left + 1));
        else if (certificate->not_after_ms - now_ms < warning_ms)
                gw_error_set(&view->error, "certificate-expires-soon", "%s %s (%s) expires in %" PRId64 " days", whose, certificate->peer, certificate->use,
                             view->days_left);
}

struct each {
        const struct api_options *options;
        int64_t now_ms;
        void (*each)(void *ctx, const struct certificate_view *view);
        void *ctx;
};

static void view_one(void *ctx, const struct tls_certificate *certificate) {
        const struct each *each = ctx;
        struct certificate_view view = { .certificate = certificate };
        view.days_left = tls_days_left(certificate->not_after_ms, each->now_ms);
        if (certificate->error)
                gw_error_set(&view.error, certificate->error, "%s (%s)", certificate->peer, certificate->use);
        else
                judge_term(&view, each->now_ms, each->options->settings->trust.certificate_warning_ms);
        /* Of a file server that nobody asks any more nothing is told for ever. */
        if (str_equal(certificate->use, "artifacts") && each->now_ms - certificate->seen_ms > DAY_MS)
                view.error = (struct gw_error){ 0 };
        each->each(each->ctx, &view);
}

void certificates_each(const struct api_options *options, void (*function)(void *ctx, const struct certificate_view *view), void *ctx) {
        const struct clock *clock = options->clock ? options->clock : clock_real();
        struct each each = { .options = options, .now_ms = clock_wall_ms(clock), .each = function, .ctx = ctx };
        if (options->tls)
                tls_certificates_each(options->tls, view_one, &each);
}

void certificate_describe(const struct certificate_view *view, struct json *json) {
        const struct tls_certificate *certificate = view->certificate;
        json_set_string(json, "use", certificate->use);
        json_set_string(json, "peer", certificate->peer);
        json_set_bool(json, "own", certificate->is_ours);
        if (certificate->not_after_ms > 0) {
                set_time(json, "not_after", certificate->not_after_ms);
                json_set_int(json, "days_left", view->days_left);
        }
        json_set_string(json, "error", gw_error_is_set(&view->error) ? view->error.name : NULL);
}

/* --- looking after them --- */

static size_t add_own(struct tls_own_file *files, size_t n, size_t max, const char *use, const struct settings_credentials *credentials) {
        if (n < max && credentials->client_cert[0])
                files[n++] = (struct tls_own_file){ .use = use, .path = credentials->client_cert };
        return n;
}

static void read_own(struct api *api) {
        const struct settings *settings = api->options.settings;
        struct tls_own_file files[TLS_CERTIFICATES_MAX / 2];
        size_t n = add_own(files, 0, ARRAY_SIZE(files), "mqtt", &settings->mqtt.credentials);
        n = add_own(files, n, ARRAY_SIZE(files), "https", &settings->https.credentials);
        for (size_t i = 0; i < settings->n_sources; i++)
                n = add_own(files, n, ARRAY_SIZE(files), "artifacts", &settings->sources[i].credentials);
        (void) tls_read_own(api->options.tls, files, n);
}

static void warn(void *ctx, const struct certificate_view *view) {
        (void) ctx;
        if (gw_error_is_set(&view->error))
                log_warning(&(struct log_fields){ .error = view->error.name }, "%s", view->error.text);
}

void certificates_upkeep(struct api *api) {
        int64_t now_ms = loop_now_ms(api->options.loop);
        if (!api->options.tls)
                return;
        read_own(api);
        if (now_ms < api->certificates_warn_ms)
                return;
        api->certificates_warn_ms = now_ms + DAY_MS;
        certificates_each(&api->options, warn, api);
}
