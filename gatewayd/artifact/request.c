/* SPDX-License-Identifier: Apache-2.0 */

/* What is asked of a server, and what its answer means. */
#include <inttypes.h>
#include <string.h>

#include "artifact/artifact_internal.h"
#include "base/cidr.h"
#include "base/log.h"
#include "base/str.h"
#include "config/settings.h"
#include "trust/secrets.h"

/* Not public, but not this machine either. */
static const char *const private_ranges[] = { "10.0.0.0/8",     "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10",
                                              "169.254.0.0/16", "fc00::/7",      "fe80::/10" };
static const char *const loopback_ranges[] = { "127.0.0.0/8", "::1/128" };

#define EXTRA_RANGES_MAX (ARRAY_SIZE(private_ranges) + ARRAY_SIZE(loopback_ranges))

/* ---- the request */

static const char *text_or_null(const char *text) {
        return text && *text ? text : NULL;
}

static size_t append_ranges(struct cidr *ranges, size_t n, const char *const *texts, size_t n_texts) {
        for (size_t i = 0; i < n_texts; i++)
                if (cidr_parse(texts[i], &ranges[n]) >= 0)
                        n++;
        return n;
}

/* The settings know loopback and private apart, the request only both together: the one that is allowed becomes ranges. */
static int allow_addresses(const struct settings *settings, struct http_request *request, struct cidr **ret_ranges) {
        size_t n = settings->artifacts.n_allow_ranges;
        struct cidr *ranges;

        request->allow_private = settings->artifacts.allow_private && settings->artifacts.allow_loopback;
        ranges = calloc(n + EXTRA_RANGES_MAX, sizeof *ranges);
        if (!ranges)
                return -ENOMEM;
        if (n > 0)
                memcpy(ranges, settings->artifacts.allow_ranges, n * sizeof *ranges);
        if (settings->artifacts.allow_private)
                n = append_ranges(ranges, n, private_ranges, ARRAY_SIZE(private_ranges));
        if (settings->artifacts.allow_loopback)
                n = append_ranges(ranges, n, loopback_ranges, ARRAY_SIZE(loopback_ranges));
        request->allowed = ranges;
        request->n_allowed = n;
        *ret_ranges = ranges;
        return 0;
}

int download_request(struct download *download, const struct http_handler *handler, struct http_transfer **ret_transfer,
                     struct gw_error *err) {
        const struct settings *settings = download->artifacts->settings;
        const struct settings_source *source = settings_source_find(settings, download->url);
        _cleanup_secrets_ struct secrets secrets = { .password = "" };
        _cleanup_free_ struct cidr *ranges = NULL;
        _cleanup_free_ char *if_range = NULL;
        struct http_request request = {
                .url = download->url,
                .use = "artifacts",
                .headers = (const char *const *) &if_range,
                .range_from = download->received,
                .rate_bytes_s = settings->artifacts.rate_limit_bytes,
                .connect_timeout_ms = settings->artifacts.connect_timeout_ms,
                .stall_timeout_ms = settings->artifacts.stall_timeout_ms,
                .ca_file = text_or_null(settings->trust.ca_file),
        };
        int r = source ? secrets_read(&source->credentials, &secrets, err) : 0;

        if (r < 0)
                return r;
        if (source)
                secrets_apply(&source->credentials, &secrets, &request);
        if (request.range_from > 0) {
                if (asprintf(&if_range, "If-Range: %s", download->artifact->row.etag) < 0)
                        return -ENOMEM;
                request.n_headers = 1;
        }
        r = allow_addresses(settings, &request, &ranges);
        if (r < 0)
                return r;
        r = http_start(download->artifacts->http, &request, handler, download, ret_transfer);
        if (r == -EINVAL)
                gw_error_set(err, "url-invalid", "the URL of the order cannot be used");
        return r;
}

/* ---- the answer */

static const struct {
        int first, last;
        const char *name;
} refusals[] = {
        { 404, 404, "artifact-not-found" }, { 410, 410, "artifact-not-found" }, { 401, 401, "artifact-forbidden" },
        { 403, 403, "artifact-forbidden" }, { 408, 408, "server-busy" },        { 425, 425, "server-busy" },
        { 429, 429, "server-busy" },        { 503, 503, "server-busy" },        { 400, 499, "artifact-refused" },
        { 500, 599, "server-error" },       { 0, 999, "protocol-error" },
};

static int refuse(struct download *download, const struct http_response *response) {
        char url[256];

        log_redact_url(url, sizeof url, response->url ? response->url : download->url);
        for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
                if (response->status < refusals[i].first || response->status > refusals[i].last)
                        continue;
                gw_error_set(&download->error, refusals[i].name, "%s: status %d", url, response->status);
                break;
        }
        download->retry_after_ms = response->retry_after_ms;
        return -EREMOTEIO;
}

/* A doubt about the bytes that are there: once they are thrown away, then it is the server's mistake. */
static int doubt(struct download *download, const char *what) {
        gw_error_set(&download->error, "protocol-error", "%s", what);
        download->from_zero = true;
        return -ESTALE;
}

static int wrong_size(struct download *download, int64_t size) {
        gw_error_set(&download->error, "size-mismatch", "the server's file has %" PRId64 " bytes, %" PRIu64 " were ordered", size,
                     download->size);
        return -EBADMSG;
}

static int judge_part(struct download *download, const struct http_response *response) {
        const char *etag = download->artifact->row.etag;

        if (download->received == 0)
                return doubt(download, "the server sends a part though the whole was asked for");
        if (response->range_from != (int64_t) download->received)
                return doubt(download, "the server sends another part than it was asked for");
        if (response->etag && !str_equal(response->etag, etag))
                return doubt(download, "the server's file changed since the download began");
        if (download->size > 0 && response->range_size >= 0 && response->range_size != (int64_t) download->size)
                return wrong_size(download, response->range_size);
        download->resumed = true;
        download->artifacts->statistics.n_resumed++;
        return 0;
}

/* RFC 9110, 8.8.1: only a strong validator says that the bytes are the same. */
static bool is_strong(const char *etag) {
        return etag && etag[0] == '"' && strlen(etag) >= 2 && etag[strlen(etag) - 1] == '"';
}

/* A size that the order does not tell is known now: there must be room for it, as there would have been asked before. */
static int learn_size(struct download *download, const struct http_response *response) {
        const struct settings *settings = download->artifacts->settings;

        if (response->content_length < 0)
                return 0;
        if ((uint64_t) response->content_length > settings->artifacts.max_size_bytes) {
                gw_error_set(&download->error, "artifact-too-large", "%" PRId64 " bytes; max_size allows %" PRIu64,
                             response->content_length, settings->artifacts.max_size_bytes);
                return -EFBIG;
        }
        download->size = (uint64_t) response->content_length;
        return artifacts_make_room(download->artifacts, download->artifact, download->size, &download->error);
}

static int judge_whole(struct download *download, const struct http_response *response) {
        struct artifact_row *row = &download->artifact->row;
        int r = 0;

        if (download->size == 0)
                r = learn_size(download, response);
        else if (response->content_length >= 0 && response->content_length != (int64_t) download->size)
                r = wrong_size(download, response->content_length);
        if (r < 0)
                return r;
        download->reset_wanted = download->received > 0;
        download->resumed = false;
        free(row->etag);
        row->etag = is_strong(response->etag) ? strdup(response->etag) : NULL;
        free(row->url);
        row->url = strdup(download->url);
        if (!row->complete) { /* as an import may have made it meanwhile */
                row->size = (int64_t) download->size;
                row->received = 0;
                artifact_save(download->artifacts, download->artifact);
        }
        return 0;
}

int download_judge(struct download *download, const struct http_response *response) {
        if (response->status == 200)
                return judge_whole(download, response);
        if (response->status == 206)
                return judge_part(download, response);
        if (response->status == 416 && download->received > 0)
                return doubt(download, "the server has no such part of the file (416)");
        return refuse(download, response);
}
