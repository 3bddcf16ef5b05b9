/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "loop/http_internal.h"
#include "loop/http_url.h"

/*
 * One request. Curl's callbacks only note what happened; everything that calls curl back happens in on_next(), which is deferred:
 *
 *     http_start() --> on_tls_ready --> on_next: run a hop --> ... curl ... --> http_transfer_finished --> on_next: run the next hop
 *                                                                                    \-> on_next: tell `done`, free
 *     http_resume(), http_cancel() --> on_next
 */

#define REDIRECT_BODY_MAX (64u * 1024u) /* read to keep the connection; a longer one is not worth it */

struct http_transfer {
        struct http *http;
        CURL *easy;
        const struct http_handler *handler;
        void *ctx;
        struct loop_deferral next;
        void *tls; /* session */
        bool tls_ready;
        char *url; /* of this hop */
        struct curl_slist *headers;
        void *body;
        bool allow_private, private_at_home_only;
        struct cidr *allowed;
        size_t n_allowed;
        int64_t stall_ms;
        int64_t deadline_ms; /* INT64_MAX = none */
        struct timer *stall;
        int64_t last_ms; /* of the last sign of life */
        unsigned n_redirects;
        bool follows;    /* the method may be redirected */
        bool is_foreign; /* has left its first origin, for good */
        bool running;    /* curl has it */
        bool begun;      /* connected, the request goes out */
        bool paused;     /* by data() */
        bool resuming;
        struct timer *rate_pause;
        uint64_t rate_bytes_s;
        int64_t rate_next_us; /* when the next bytes are within the rate */
        bool canceled;
        bool finished;
        bool address_refused;
        bool head_too_long;
        size_t n_sockets;
        size_t n_redirect_bytes;
        struct http_head head;
        int user_result; /* what response() or data() ended it with */
        int result;
        struct gw_error error;
        char curl_text[CURL_ERROR_SIZE];
};

/* ---- the end */

static void transfer_free(struct http_transfer *transfer) {
        if (transfer->easy)
                curl_easy_cleanup(transfer->easy);
        if (transfer->tls)
                transfer->http->tls->close(transfer->tls);
        timer_cancel(transfer->stall);
        timer_cancel(transfer->rate_pause);
        curl_slist_free_all(transfer->headers);
        free(transfer->allowed);
        free(transfer->body);
        free(transfer->url);
        free(transfer);
}

static void finish(struct http_transfer *transfer, int result) {
        transfer->finished = true;
        transfer->result = result;
        timer_cancel(TAKE_PTR(transfer->stall));
        loop_deferral_schedule(&transfer->next);
}

static void fail(struct http_transfer *transfer, int result, const char *name, const char *what) {
        char url[256];

        log_redact_url(url, sizeof url, transfer->url);
        gw_error_set(&transfer->error, name, "%s: %s", url, what);
        finish(transfer, result);
}

static void tell_done(struct http_transfer *transfer) {
        const struct http_handler *handler = transfer->handler;
        struct http *http = transfer->http;
        struct gw_error error = transfer->error;
        int result = transfer->canceled ? -ECANCELED : transfer->result;
        void *ctx = transfer->ctx;

        if (transfer->canceled)
                error = (struct gw_error){ 0 };
        transfer_free(transfer);
        http_transfer_gone(http);
        handler->done(ctx, result, &error);
}

/* ---- addresses */

static bool is_allowed(const struct http_transfer *transfer, const struct sockaddr *address) {
        if ((transfer->allow_private && !(transfer->private_at_home_only && transfer->is_foreign)) || cidr_is_public(address))
                return true;
        for (size_t i = 0; i < transfer->n_allowed; i++)
                if (cidr_match(&transfer->allowed[i], address))
                        return true;
        return false;
}

static curl_socket_t on_open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address) {
        struct http_transfer *transfer = ctx;
        (void) purpose;

        if (!is_allowed(transfer, &address->addr)) {
                transfer->address_refused = true;
                return CURL_SOCKET_BAD;
        }
        transfer->n_sockets++;
        return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static bool is_allowed_text(const struct http_transfer *transfer, const char *text) {
        struct sockaddr_in v4 = { .sin_family = AF_INET };
        struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };

        if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
                return is_allowed(transfer, (struct sockaddr *) &v4);
        return inet_pton(AF_INET6, text, &v6.sin6_addr) == 1 && is_allowed(transfer, (struct sockaddr *) &v6);
}

static void on_stall(void *ctx);

/* Again for a connection that is used again: another request, with other rules, may have made it. */
static int on_request(void *ctx, char *peer, char *local, int peer_port, int local_port) {
        struct http_transfer *transfer = ctx;
        (void) local;
        (void) peer_port;
        (void) local_port;

        if (!is_allowed_text(transfer, peer)) {
                transfer->address_refused = true;
                transfer->n_sockets = 0;
                return CURL_PREREQFUNC_ABORT;
        }
        transfer->begun = true;
        transfer->last_ms = loop_now_ms(transfer->http->loop);
        if (!transfer->stall && timer_start(transfer->http->loop, transfer->stall_ms, on_stall, transfer, &transfer->stall) < 0)
                return CURL_PREREQFUNC_ABORT;
        return CURL_PREREQFUNC_OK;
}

/* ---- silence */

static void stop_running(struct http_transfer *transfer) {
        timer_cancel(TAKE_PTR(transfer->rate_pause));
        if (transfer->running)
                http_unrun(transfer->http, transfer->easy);
        transfer->running = false;
}

/* One timer that looks back, instead of one that is started anew for every piece of data. */
static void on_stall(void *ctx) {
        struct http_transfer *transfer = ctx;
        struct loop *loop = transfer->http->loop;
        int64_t silent_ms = loop_now_ms(loop) - transfer->last_ms;

        transfer->stall = NULL;
        if (transfer->paused || transfer->rate_pause)
                silent_ms = 0;
        if (silent_ms < transfer->stall_ms && timer_start(loop, transfer->stall_ms - silent_ms, on_stall, transfer, &transfer->stall) == 0)
                return;
        stop_running(transfer);
        fail(transfer, -ETIMEDOUT, "download-timeout", "nothing came for too long");
}

/* ---- the rate limit */

/*
 * By pausing, piece by piece. Curl's own limit takes all that waits in the socket at once and then sleeps for as long as that should
 * have taken, which no stall timeout can tell from silence.
 */
static void unpause(struct http_transfer *transfer) {
        transfer->last_ms = loop_now_ms(transfer->http->loop);
        curl_easy_pause(transfer->easy, CURLPAUSE_CONT);
}

static void on_rate_pause_over(void *ctx) {
        struct http_transfer *transfer = ctx;

        transfer->rate_pause = NULL;
        if (transfer->running)
                unpause(transfer);
}

/* Too early for the next bytes? Then curl is to pause. */
static bool is_too_fast(struct http_transfer *transfer) {
        struct loop *loop = transfer->http->loop;
        int64_t wait_us = transfer->rate_next_us - loop_now_ms(loop) * 1000;

        if (transfer->rate_bytes_s == 0 || wait_us < 1000)
                return false;
        return transfer->rate_pause || timer_start(loop, wait_us / 1000, on_rate_pause_over, transfer, &transfer->rate_pause) == 0;
}

static void count_rate(struct http_transfer *transfer, size_t n_bytes) {
        int64_t now_us = loop_now_ms(transfer->http->loop) * 1000;

        if (transfer->rate_bytes_s > 0)
                transfer->rate_next_us = MAX(transfer->rate_next_us, now_us) + (int64_t) (n_bytes * 1000000 / transfer->rate_bytes_s);
}

/* ---- what curl receives */

static bool is_redirecting(const struct http_transfer *transfer) {
        return transfer->follows && http_head_is_redirect(&transfer->head);
}

static int give_response(struct http_transfer *transfer) {
        struct http_response response;

        if (!transfer->handler->response)
                return 0;
        http_head_response(&transfer->head, transfer->url, &response);
        return transfer->handler->response(transfer->ctx, &response);
}

static size_t on_header(char *line, size_t unit, size_t size, void *ctx) {
        struct http_transfer *transfer = ctx;
        bool was_complete = transfer->head.complete;
        size_t n_bytes = unit * size;

        transfer->last_ms = loop_now_ms(transfer->http->loop);
        if (transfer->canceled)
                return 0;
        if (http_head_line(&transfer->head, line, n_bytes) < 0) {
                transfer->head_too_long = true;
                return 0;
        }
        if (!was_complete && transfer->head.complete && !is_redirecting(transfer))
                transfer->user_result = give_response(transfer);
        return transfer->user_result < 0 || transfer->canceled ? 0 : n_bytes;
}

static size_t on_data(char *data, size_t unit, size_t size, void *ctx) {
        struct http_transfer *transfer = ctx;
        size_t n_bytes = unit * size;
        int r = 0;

        transfer->last_ms = loop_now_ms(transfer->http->loop);
        if (transfer->canceled)
                return 0;
        if (is_redirecting(transfer)) {
                transfer->n_redirect_bytes += n_bytes;
                return transfer->n_redirect_bytes <= REDIRECT_BODY_MAX ? n_bytes : 0;
        }
        if (is_too_fast(transfer))
                return CURL_WRITEFUNC_PAUSE;
        if (transfer->handler->data)
                r = transfer->handler->data(transfer->ctx, (const uint8_t *) data, n_bytes);
        if (r == -EAGAIN) {
                transfer->paused = true;
                return CURL_WRITEFUNC_PAUSE;
        }
        count_rate(transfer, n_bytes);
        transfer->user_result = r;
        return r < 0 || transfer->canceled ? 0 : n_bytes;
}

/* ---- redirects */

/* Only headers that cannot be a secret; a new one of ours has to be added here. */
static bool may_go_anywhere(const char *header) {
        static const char *const prefixes[] = { "Accept:", "Accept-", "If-", "User-Agent:" };

        for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
                if (strncasecmp(header, prefixes[i], strlen(prefixes[i])) == 0)
                        return true;
        return false;
}

static int add_header(struct http_transfer *transfer, const char *header) {
        struct curl_slist *longer = curl_slist_append(transfer->headers, header);

        if (!longer)
                return -ENOMEM;
        transfer->headers = longer;
        return 0;
}

static int forget_credentials(struct http_transfer *transfer) {
        struct curl_slist *all = TAKE_PTR(transfer->headers);
        int r = 0;

        for (struct curl_slist *header = all; header && r == 0; header = header->next)
                if (may_go_anywhere(header->data))
                        r = add_header(transfer, header->data);
        curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, transfer->headers);
        curl_easy_setopt(transfer->easy, CURLOPT_USERNAME, NULL);
        curl_easy_setopt(transfer->easy, CURLOPT_PASSWORD, NULL);
        curl_easy_setopt(transfer->easy, CURLOPT_SSLCERT, NULL);
        curl_easy_setopt(transfer->easy, CURLOPT_SSLKEY, NULL);
        curl_slist_free_all(all);
        return r;
}

static void redirect(struct http_transfer *transfer) {
        _cleanup_free_ char *url = NULL;
        int r = http_url_resolve(transfer->url, transfer->head.location, &url);

        if (r == -EINVAL) {
                fail(transfer, -EACCES, "redirect-refused", "it redirects to something that is not https, or malformed");
                return;
        }
        if (r == 0 && ++transfer->n_redirects > HTTP_REDIRECTS_MAX) {
                fail(transfer, -ELOOP, "redirect-refused", "it redirects too many times");
                return;
        }
        if (r == 0 && !transfer->is_foreign && !http_url_same_origin(transfer->url, url)) {
                transfer->is_foreign = true;
                r = forget_credentials(transfer);
        }
        if (r < 0) {
                fail(transfer, r, "out-of-memory", "no memory");
                return;
        }
        free(transfer->url);
        transfer->url = TAKE_PTR(url);
        loop_deferral_schedule(&transfer->next);
}

/* ---- a hop: from on_next() to http_transfer_finished() */

static int64_t total_left_ms(const struct http_transfer *transfer) {
        return transfer->deadline_ms == INT64_MAX ? 0 : MAX(transfer->deadline_ms - loop_now_ms(transfer->http->loop), (int64_t) 1);
}

static void run_hop(struct http_transfer *transfer) {
        int r;

        transfer->head = (struct http_head){ 0 };
        transfer->begun = false;
        transfer->address_refused = false;
        transfer->n_sockets = 0;
        transfer->n_redirect_bytes = 0;
        transfer->curl_text[0] = '\0';
        if (!http_url_is_valid(transfer->url)) {
                fail(transfer, -EINVAL, "url-invalid", "only https://host/path is possible");
                return;
        }
        curl_easy_setopt(transfer->easy, CURLOPT_URL, transfer->url);
        curl_easy_setopt(transfer->easy, CURLOPT_TIMEOUT_MS, (long) MIN(total_left_ms(transfer), (int64_t) INT32_MAX));
        r = http_run(transfer->http, transfer->easy);
        if (r < 0)
                fail(transfer, r, "out-of-memory", "no memory");
        else
                transfer->running = true;
}

void http_transfer_finished(struct http_transfer *transfer, CURLcode code) {
        struct gw_error error = { 0 }, refusal = { 0 };
        int r;

        transfer->running = false;
        timer_cancel(TAKE_PTR(transfer->stall));
        timer_cancel(TAKE_PTR(transfer->rate_pause));
        if (transfer->canceled)
                finish(transfer, -ECANCELED);
        else if (transfer->user_result < 0)
                finish(transfer, transfer->user_result);
        else if (transfer->address_refused && transfer->n_sockets == 0)
                fail(transfer, -EACCES, "target-address-refused", "private and loopback addresses are not allowed here");
        else if (transfer->head.complete && is_redirecting(transfer))
                redirect(transfer);
        else if (code == CURLE_OK && transfer->head.complete)
                finish(transfer, 0);
        else if (code == CURLE_OK || transfer->head_too_long)
                fail(transfer, -EPROTO, "protocol-error", transfer->head_too_long ? "its headers are too long" : "the answer has no head");
        else {
                (void) transfer->http->tls->failure(transfer->tls, code == CURLE_PEER_FAILED_VERIFICATION, &refusal);
                r = http_error_of_curl(transfer->easy, code, transfer->begun, transfer->curl_text, &refusal, &error);
                fail(transfer, r, error.name, error.text);
        }
}

static void on_next(void *ctx) {
        struct http_transfer *transfer = ctx;

        if (transfer->finished || transfer->canceled) {
                stop_running(transfer);
                tell_done(transfer);
        } else if (!transfer->running && transfer->tls_ready) {
                run_hop(transfer);
        } else if (transfer->resuming) {
                transfer->resuming = false;
                transfer->paused = false;
                unpause(transfer);
        }
}

void http_resume(struct http_transfer *transfer) {
        transfer->resuming = true;
        loop_deferral_schedule(&transfer->next);
}

void http_cancel(struct http_transfer *transfer) {
        if (!transfer)
                return;
        transfer->canceled = true;
        loop_deferral_schedule(&transfer->next);
}

/* ---- TLS */

static void on_tls_ready(void *ctx, int result, const struct gw_error *err) {
        struct http_transfer *transfer = ctx;

        transfer->tls_ready = true;
        if (result < 0)
                fail(transfer, result, gw_error_is_set(err) ? err->name : "out-of-memory", gw_error_is_set(err) ? err->text : "no memory");
        else
                loop_deferral_schedule(&transfer->next);
}

static CURLcode on_ssl_ctx(CURL *easy, void *ssl_ctx, void *ctx) {
        struct http_transfer *transfer = ctx;
        char peer[HTTP_PEER_SIZE];
        (void) easy;

        http_url_peer(transfer->url, peer);
        return transfer->http->tls->apply(transfer->tls, peer, ssl_ctx) < 0 ? CURLE_OUT_OF_MEMORY : CURLE_OK;
}

static int open_tls(struct http_transfer *transfer, const struct http_request *request) {
        const struct http_tls_request wanted = { .use = request->use, .ca_file = request->ca_file };
        struct http *http = transfer->http;

        return http->tls->open(http->tls_ctx, &wanted, on_tls_ready, transfer, &transfer->tls);
}

/* ---- the beginning */

int http_global_init(void) {
        static bool is_done;

        if (!is_done && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
                return -ENOMEM;
        is_done = true;
        return 0;
}

static int add_headers(struct http_transfer *transfer, const struct http_request *request) {
        _cleanup_strbuf_ struct strbuf bearer = STRBUF_INIT(HTTP_HEADERS_MAX);
        int r = 0;

        for (size_t i = 0; i < request->n_headers && r == 0; i++) {
                if (strpbrk(request->headers[i], "\r\n"))
                        return -EINVAL;
                r = add_header(transfer, request->headers[i]);
        }
        /* No "Expect: 100-continue": the bodies are small, the wait would be longer. */
        if (r == 0 && request->body_size > 0)
                r = add_header(transfer, "Expect:");
        if (r < 0 || !request->bearer)
                return r;
        if (strpbrk(request->bearer, "\r\n"))
                return -EINVAL;
        r = strbuf_appendf(&bearer, "Authorization: Bearer %s", request->bearer);
        return r < 0 ? r : add_header(transfer, strbuf_text(&bearer));
}

static void set_callbacks(struct http_transfer *transfer) {
        CURL *easy = transfer->easy;

        curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
        curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->curl_text);
        curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
        curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_data);
        curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
        curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
        curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer);
        curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_request);
        curl_easy_setopt(easy, CURLOPT_PREREQDATA, transfer);
        curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_ssl_ctx);
        curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, transfer);
}

static void set_transport(CURL *easy, const struct http_request *request) {
        int64_t connect_ms = request->connect_timeout_ms ? request->connect_timeout_ms : HTTP_CONNECT_TIMEOUT_DEFAULT_MS;

        curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        /* Cancelling or timing out in the middle of a lookup would join its thread, which hangs as long as the name service does. */
        curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
        curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https");
        curl_easy_setopt(easy, CURLOPT_PROXY, "");
        curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
        curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
        curl_easy_setopt(easy, CURLOPT_USERAGENT, "gatewayd/" GW_VERSION);
        curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long) connect_ms);
        curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
        /* Curl reads no authorities, on_ssl_ctx() brings them. A folder costs it nothing, and by its name curl knows which connections
         * trust the same. */
        curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
        curl_easy_setopt(easy, CURLOPT_CAPATH, request->ca_file ? request->ca_file : "system");
}

static void set_credentials(CURL *easy, const struct http_request *request) {
        if (request->client_certificate) {
                curl_easy_setopt(easy, CURLOPT_SSLCERT, request->client_certificate);
                curl_easy_setopt(easy, CURLOPT_SSLKEY, request->client_key ? request->client_key : request->client_certificate);
        }
        if (!request->user)
                return;
        curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long) CURLAUTH_BASIC);
        curl_easy_setopt(easy, CURLOPT_USERNAME, request->user);
        curl_easy_setopt(easy, CURLOPT_PASSWORD, request->password ? request->password : "");
}

static int set_message(struct http_transfer *transfer, const struct http_request *request) {
        CURL *easy = transfer->easy;
        char range[32];

        if (request->body_size > 0) {
                transfer->body = malloc(request->body_size);
                if (!transfer->body)
                        return -ENOMEM;
                memcpy(transfer->body, request->body, request->body_size);
                curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) request->body_size);
                curl_easy_setopt(easy, CURLOPT_POSTFIELDS, transfer->body);
        }
        if (request->method && strcmp(request->method, "HEAD") == 0)
                curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
        else if (request->method && strcmp(request->method, "GET") != 0)
                curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
        if (request->range_from > 0) {
                str_format(range, sizeof range, "%llu-", (unsigned long long) request->range_from);
                curl_easy_setopt(easy, CURLOPT_RANGE, range);
        }
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers);
        return 0;
}

static int copy_rules(struct http_transfer *transfer, const struct http_request *request) {
        const char *method = request->method ? request->method : request->body_size > 0 ? "POST" : "GET";

        transfer->follows = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
        transfer->allow_private = request->allow_private;
        transfer->private_at_home_only = request->private_at_home_only;
        transfer->deadline_ms = request->total_timeout_ms > 0 ? loop_now_ms(transfer->http->loop) + request->total_timeout_ms : INT64_MAX;
        transfer->stall_ms = request->stall_timeout_ms ? request->stall_timeout_ms : HTTP_STALL_TIMEOUT_DEFAULT_MS;
        transfer->rate_bytes_s = request->rate_bytes_s;
        if (request->n_allowed == 0)
                return 0;
        transfer->allowed = reallocarray(NULL, request->n_allowed, sizeof *transfer->allowed);
        if (!transfer->allowed)
                return -ENOMEM;
        memcpy(transfer->allowed, request->allowed, request->n_allowed * sizeof *transfer->allowed);
        transfer->n_allowed = request->n_allowed;
        return 0;
}

static int prepare(struct http_transfer *transfer, const struct http_request *request) {
        int r = http_global_init();

        if (r < 0)
                return r;
        transfer->easy = curl_easy_init();
        transfer->url = strdup(request->url);
        if (!transfer->easy || !transfer->url)
                return -ENOMEM;
        r = add_headers(transfer, request);
        if (r == 0)
                r = copy_rules(transfer, request);
        if (r < 0)
                return r;
        set_callbacks(transfer);
        set_transport(transfer->easy, request);
        set_credentials(transfer->easy, request);
        return set_message(transfer, request);
}

int http_start(struct http *http, const struct http_request *request, const struct http_handler *handler, void *ctx,
               struct http_transfer **ret_transfer) {
        struct http_transfer *transfer;
        int r;

        if (!request->url || strlen(request->url) > HTTP_URL_MAX)
                return -EINVAL;
        transfer = calloc(1, sizeof *transfer);
        if (!transfer)
                return -ENOMEM;
        transfer->http = http;
        transfer->handler = handler;
        transfer->ctx = ctx;
        loop_deferral_init(&transfer->next, http->loop, on_next, transfer);
        r = prepare(transfer, request);
        if (r == 0)
                r = open_tls(transfer, request);
        if (r < 0) {
                transfer_free(transfer);
                return r;
        }
        http->n_transfers++;
        timer_cancel(TAKE_PTR(http->idle));
        *ret_transfer = transfer;
        return 0;
}
