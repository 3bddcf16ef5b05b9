/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/http.h"

#include <errno.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "loop/http_internal.h"
#include "loop/http_url.h"
#include "loop/test_support.h"
#include "loop/timer.h"
#include "trust/tls_internal.h"

#define FILE_SIZE 300000
#define SERVERS_MAX 16

/* The servers of http_test_server.py, for all tests. */
static struct {
        pid_t pid;
        int input; /* closed: they end */
        char folder[32];
        char ca_file[64];
        struct {
                char name[16];
                int port;
        } servers[SERVERS_MAX];
        size_t n_servers;
} farm;

static int farm_read(FILE *file) {
        char line[64];

        while (fgets(line, sizeof line, file)) {
                assert_true(farm.n_servers < SERVERS_MAX);
                if (sscanf(line, "%15s %d", farm.servers[farm.n_servers].name, &farm.servers[farm.n_servers].port) != 2)
                        return -1;
                if (strcmp(farm.servers[farm.n_servers++].name, "ready") == 0)
                        return 0;
        }
        return -1;
}

static int farm_start(void **state) {
        _cleanup_fclose_ FILE *output = NULL;
        int to[2], from[2];
        (void) state;

        strcpy(farm.folder, "/tmp/gw_http_XXXXXX");
        if (!mkdtemp(farm.folder) || pipe2(to, O_CLOEXEC) < 0 || pipe2(from, O_CLOEXEC) < 0)
                return -1;
        snprintf(farm.ca_file, sizeof farm.ca_file, "%s/ca.pem", farm.folder);
        farm.pid = fork();
        if (farm.pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                dup2(to[0], 0);
                dup2(from[1], 1);
                execl("/usr/bin/python3", "python3", GW_SOURCE_DIR "/gatewayd/loop/http_test_server.py", farm.folder, NULL);
                _exit(127);
        }
        close(to[0]);
        close(from[1]);
        farm.input = to[1];
        output = fdopen(from[0], "r");
        return farm_read(output);
}

static int farm_stop(void **state) {
        char command[64];
        (void) state;

        close(farm.input);
        waitpid(farm.pid, NULL, 0);
        snprintf(command, sizeof command, "rm -r %s", farm.folder);
        return system(command);
}

static int port_of(const char *name) {
        for (size_t i = 0; i < farm.n_servers; i++)
                if (strcmp(farm.servers[i].name, name) == 0)
                        return farm.servers[i].port;
        fail_msg("no server %s", name);
        return 0;
}

/* "https://127.0.0.1:PORT" and the path. */
static const char *url_of(const char *server, const char *path) {
        static char urls[4][512];
        static size_t n_used;
        char *url = urls[n_used++ % ARRAY_SIZE(urls)];

        snprintf(url, sizeof urls[0], "https://%s:%d%s", strcmp(server, "second") == 0 ? "127.0.0.2" : "127.0.0.1", port_of(server), path);
        return url;
}

/* Of a name service that does not answer: stands before the C library's for curl, too. */
static struct { sem_t begun, gate, ended; } lookup;

__attribute__((visibility("default"))) int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                                                       struct addrinfo **result) {
        int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) = dlsym(RTLD_NEXT, "getaddrinfo");

        if (!node || strcmp(node, "slow.example") != 0)
                return real(node, service, hints, result);
        sem_post(&lookup.begun);
        sem_wait(&lookup.gate);
        sem_post(&lookup.ended);
        return EAI_AGAIN;
}

struct fixture {
        struct loop *loop;
        struct tls *tls;
        struct http *http;
        struct http_transfer *transfer;
        char body[FILE_SIZE + 1];
        size_t body_size;
        size_t n_responses;
        int status;
        char etag[64], last_modified[64], content_type[64], url[512];
        int64_t content_length, range_from, range_to, range_size, retry_after_ms;
        bool done;
        int result;
        struct gw_error error;
        int response_answer; /* what response() and data() return */
        int data_answer;
        size_t n_pauses; /* how often data() refuses */
        size_t n_paused;
        bool cancel_on_data;
        bool free_when_done;
};

static int setup(void **state) {
        struct fixture *fixture = calloc(1, sizeof *fixture);

        *state = fixture;
        assert_int_equal(loop_new(&fixture->loop), 0);
        assert_int_equal(tls_new(fixture->loop, &fixture->tls), 0);
        return http_new(fixture->loop, tls_http(), fixture->tls, &fixture->http);
}

static int teardown(void **state) {
        struct fixture *fixture = *state;

        http_free(fixture->http);
        tls_free(fixture->tls);
        loop_free(fixture->loop);
        free(fixture);
        return 0;
}

static int on_response(void *ctx, const struct http_response *response) {
        struct fixture *fixture = ctx;

        assert_false(fixture->done);
        assert_int_equal(fixture->body_size, 0);
        fixture->n_responses++;
        fixture->status = response->status;
        snprintf(fixture->url, sizeof fixture->url, "%s", response->url);
        snprintf(fixture->etag, sizeof fixture->etag, "%s", response->etag ? response->etag : "none");
        snprintf(fixture->last_modified, sizeof fixture->last_modified, "%s", response->last_modified ? response->last_modified : "none");
        snprintf(fixture->content_type, sizeof fixture->content_type, "%s", response->content_type ? response->content_type : "none");
        fixture->content_length = response->content_length;
        fixture->range_from = response->range_from;
        fixture->range_to = response->range_to;
        fixture->range_size = response->range_size;
        fixture->retry_after_ms = response->retry_after_ms;
        return fixture->response_answer;
}

static void resume(void *ctx) {
        struct fixture *fixture = ctx;

        http_resume(fixture->transfer);
}

static int on_data(void *ctx, const uint8_t *data, size_t size) {
        struct fixture *fixture = ctx;

        assert_int_equal(fixture->n_responses, 1);
        assert_false(fixture->done);
        if (fixture->n_pauses > 0) {
                fixture->n_pauses--;
                fixture->n_paused++;
                assert_int_equal(loop_defer(fixture->loop, resume, fixture, NULL), 0);
                return -EAGAIN;
        }
        assert_true(fixture->body_size + size <= FILE_SIZE);
        memcpy(fixture->body + fixture->body_size, data, size);
        fixture->body_size += size;
        if (fixture->cancel_on_data)
                http_cancel(fixture->transfer);
        return fixture->data_answer;
}

static void on_done(void *ctx, int result, const struct gw_error *err) {
        struct fixture *fixture = ctx;

        assert_false(fixture->done);
        fixture->done = true;
        fixture->result = result;
        fixture->error = *err;
        if (fixture->free_when_done)
                http_free(TAKE_PTR(fixture->http));
}

static const struct http_handler handler = { .response = on_response, .data = on_data, .done = on_done };

static void start(struct fixture *fixture, const char *url, struct http_request request) {
        if (!request.ca_file)
                request.ca_file = farm.ca_file;
        if (request.n_allowed == 0)
                request.allow_private = true;
        request.url = url;
        fixture->done = false;
        fixture->n_responses = fixture->body_size = 0;
        memset(fixture->body, 0, sizeof fixture->body);
        assert_int_equal(http_start(fixture->http, &request, &handler, fixture, &fixture->transfer), 0);
        assert_false(fixture->done);
}

static void fetch(struct fixture *fixture, const char *url, struct http_request request) {
        start(fixture, url, request);
        LOOP_UNTIL(fixture->loop, fixture->done);
}

#define PLAIN ((struct http_request){ 0 })

static void assert_failed(struct fixture *fixture, const char *name) {
        assert_string_equal(fixture->error.name, name);
        assert_true(fixture->result < 0);
        assert_true(fixture->error.text[0]);
}

static void assert_complete(struct fixture *fixture, int status) {
        assert_string_equal(fixture->error.name, "");
        assert_int_equal(fixture->result, 0);
        assert_int_equal(fixture->n_responses, 1);
        assert_int_equal(fixture->status, status);
}

static void test_a_file(void **state) {
        struct fixture *fixture = *state;

        fetch(fixture, url_of("good", "/file"), PLAIN);
        assert_complete(fixture, 200);
        assert_int_equal(fixture->body_size, FILE_SIZE);
        assert_int_equal(fixture->content_length, FILE_SIZE);
        assert_string_equal(fixture->etag, "\"strong-1\"");
        assert_string_equal(fixture->last_modified, "Sat, 21 Nov 2026 00:00:00 GMT");
        assert_string_equal(fixture->content_type, "application/octet-stream");
        assert_int_equal(fixture->range_from, -1);
        assert_int_equal(fixture->retry_after_ms, -1);
}

static void test_the_rest_of_a_file(void **state) {
        const char *const headers[] = { "If-Range: \"strong-1\"" }, *const stale[] = { "If-Range: \"other\"" };
        struct fixture *fixture = *state;
        _cleanup_free_ char *whole = NULL;

        fetch(fixture, url_of("good", "/file"), PLAIN);
        whole = malloc(FILE_SIZE);
        memcpy(whole, fixture->body, FILE_SIZE);
        fetch(fixture, url_of("good", "/file"), (struct http_request){ .range_from = 123456, .headers = headers, .n_headers = 1 });
        assert_complete(fixture, 206);
        assert_int_equal(fixture->range_from, 123456);
        assert_int_equal(fixture->range_to, FILE_SIZE - 1);
        assert_int_equal(fixture->range_size, FILE_SIZE);
        assert_int_equal(fixture->body_size, FILE_SIZE - 123456);
        assert_memory_equal(fixture->body, whole + 123456, fixture->body_size);
        fetch(fixture, url_of("good", "/file"), (struct http_request){ .range_from = 123456, .headers = stale, .n_headers = 1 });
        assert_complete(fixture, 200);
        assert_int_equal(fixture->body_size, FILE_SIZE);
}

static void test_a_status_is_no_failure_of_the_transfer(void **state) {
        struct fixture *fixture = *state;

        fetch(fixture, url_of("good", "/missing"), PLAIN);
        assert_complete(fixture, 404);
        assert_string_equal(fixture->body, "no such file");
}

static void test_retry_after(void **state) {
        struct fixture *fixture = *state;

        fetch(fixture, url_of("good", "/busy"), PLAIN);
        assert_complete(fixture, 503);
        assert_int_equal(fixture->retry_after_ms, 7000);
        fetch(fixture, url_of("good", "/busydate"), PLAIN);
        assert_true(fixture->retry_after_ms >= 88000 && fixture->retry_after_ms <= 91000);
}

static void test_chunked_with_a_trailer(void **state) {
        struct fixture *fixture = *state;

        fetch(fixture, url_of("good", "/chunked"), PLAIN);
        assert_complete(fixture, 200);
        assert_int_equal(fixture->content_length, -1);
        assert_string_equal(fixture->body, "hello world");
}

static void test_methods_and_bodies(void **state) {
        struct fixture *fixture = *state;

        fetch(fixture, url_of("good", "/echo"), (struct http_request){ .body = "event", .body_size = 5 });
        assert_ptr_equal(strstr(fixture->body, "POST /echo\n"), fixture->body);
        assert_non_null(strstr(fixture->body, "\nevent"));
        assert_null(strstr(fixture->body, "Expect:"));
        fetch(fixture, url_of("good", "/echo"), (struct http_request){ .method = "PUT", .body = "event", .body_size = 5 });
        assert_ptr_equal(strstr(fixture->body, "PUT /echo\n"), fixture->body);
        fetch(fixture, url_of("good", "/file"), (struct http_request){ .method = "HEAD" });
        assert_complete(fixture, 200);
        assert_int_equal(fixture->body_size, 0);
        assert_int_equal(fixture->content_length, FILE_SIZE);
}

static void test_credentials_reach_the_server(void **state) {
        struct fixture *fixture = *state;

        fetch(fixture, url_of("good", "/echo"), (struct http_request){ .user = "gw", .password = "secret" });
        assert_non_null(strstr(fixture->body, "Authorization: Basic Z3c6c2VjcmV0\n"));
        fetch(fixture, url_of("good", "/echo"), (struct http_request){ .bearer = "token" });
        assert_non_null(strstr(fixture->body, "Authorization: Bearer token\n"));
        fetch(fixture, url_of("good", "/echo"), PLAIN);
        assert_null(strstr(fixture->body, "Authorization"));
}

static void test_redirects_are_followed(void **state) {
        static const int statuses[] = { 301, 302, 303, 307, 308 };
        struct fixture *fixture = *state;
        char path[64];

        for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
                snprintf(path, sizeof path, "/redirect?to=%%2Ffile%%23part&status=%d", statuses[i]);
                fetch(fixture, url_of("good", path), PLAIN);
                assert_complete(fixture, 200);
                assert_int_equal(fixture->body_size, FILE_SIZE);
                assert_string_equal(fixture->url, url_of("good", "/file"));
        }
        fetch(fixture, url_of("good", "/hops?n=3"), PLAIN);
        assert_complete(fixture, 200);
}

static void test_redirects_that_are_refused(void **state) {
        static const char *const bad[] = { "/hops?n=4",
                                           "/redirect?to=http://127.0.0.1/file",
                                           "/redirect?to=file:///etc/passwd",
                                           "/redirect?to=https://a:b@127.0.0.1/",
                                           "/redirect?to=https://",
                                           "/redirect?to=https://[nonsense/" };
        struct fixture *fixture = *state;

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                fetch(fixture, url_of("good", bad[i]), PLAIN);
                assert_failed(fixture, "redirect-refused");
                assert_int_equal(fixture->n_responses, 0);
        }
}

static void test_only_reading_is_redirected(void **state) {
        struct fixture *fixture = *state;

        fetch(fixture, url_of("good", "/redirect?to=/file"), (struct http_request){ .method = "POST", .body = "x", .body_size = 1 });
        /* The server leaves the body unread, so what follows on this connection does not count. */
        assert_int_equal(fixture->n_responses, 1);
        assert_int_equal(fixture->status, 302);
}

static void test_credentials_never_leave_their_origin(void **state) {
        const char *const headers[] = { "PRIVATE-TOKEN: s3", "Cookie: s4", "If-Range: \"x\"", "Accept: text/plain" };
        struct http_request request = { .user = "gw", .password = "secret", .headers = headers, .n_headers = 4 };
        struct fixture *fixture = *state;
        char path[256];

        /* The same origin keeps them. */
        fetch(fixture, url_of("good", "/redirect?to=/echo"), request);
        assert_non_null(strstr(fixture->body, "Authorization: Basic"));
        assert_non_null(strstr(fixture->body, "PRIVATE-TOKEN: s3"));
        /* Another port is another origin. */
        snprintf(path, sizeof path, "/redirect?to=%s", url_of("other", "/echo"));
        fetch(fixture, url_of("good", path), request);
        assert_complete(fixture, 200);
        assert_null(strstr(fixture->body, "Authorization"));
        assert_null(strstr(fixture->body, "PRIVATE-TOKEN"));
        assert_null(strstr(fixture->body, "Cookie"));
        assert_non_null(strstr(fixture->body, "If-Range"));
        assert_non_null(strstr(fixture->body, "Accept: text/plain"));
        /* And back: what another server made of the way is not trusted any more. */
        snprintf(path, sizeof path, "/redirect?to=%s%%3Fto%%3D%s", url_of("other", "/redirect"), url_of("good", "/echo"));
        request.bearer = "token";
        request.user = NULL;
        fetch(fixture, url_of("good", path), request);
        assert_complete(fixture, 200);
        assert_string_equal(fixture->url, url_of("good", "/echo"));
        assert_null(strstr(fixture->body, "Authorization"));
        assert_null(strstr(fixture->body, "PRIVATE-TOKEN"));
}

static void test_addresses_are_judged_when_connected(void **state) {
        struct fixture *fixture = *state;
        struct http_request request = { .n_allowed = 1 };
        struct cidr one;
        char path[256];

        assert_int_equal(cidr_parse("10.0.0.0/8", &one), 0);
        request.allowed = &one;
        fetch(fixture, url_of("good", "/file"), request);
        assert_failed(fixture, "target-address-refused");
        /* A name is nothing but its addresses. */
        snprintf(path, sizeof path, "https://localhost:%d/file", port_of("good"));
        fetch(fixture, path, request);
        assert_failed(fixture, "target-address-refused");

        assert_int_equal(cidr_parse("127.0.0.1", &one), 0);
        fetch(fixture, url_of("good", "/file"), request);
        assert_complete(fixture, 200);
        /* Every hop. */
        snprintf(path, sizeof path, "/redirect?to=%s", url_of("second", "/echo"));
        fetch(fixture, url_of("good", path), request);
        assert_failed(fixture, "target-address-refused");
        fetch(fixture, url_of("good", path), PLAIN);
        assert_complete(fixture, 200);
        /* A connection that another request was allowed to make is still there, and does not help. */
        fetch(fixture, url_of("second", "/file"), request);
        assert_failed(fixture, "target-address-refused");
        assert_int_equal(fixture->n_responses, 0);
}

static void test_bad_certificates_have_names(void **state) {
        static const struct {
                const char *server;
                const char *name;
        } bad[] = {
                { "expired", "peer-certificate-expired" },
                { "future", "peer-certificate-not-yet-valid" },
                { "elsewhere", "peer-certificate-wrong-host" },
        };
        struct fixture *fixture = *state;
        char other_ca[64];

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                fetch(fixture, url_of(bad[i].server, "/file"), PLAIN);
                assert_failed(fixture, bad[i].name);
                assert_int_equal(fixture->n_responses, 0);
        }
        snprintf(other_ca, sizeof other_ca, "%s/other-ca.pem", farm.folder);
        fetch(fixture, url_of("good", "/file"), (struct http_request){ .ca_file = other_ca });
        assert_failed(fixture, "peer-certificate-untrusted");
        fetch(fixture, url_of("good", "/file"), (struct http_request){ .ca_file = "/no/such/file" });
        assert_failed(fixture, "ca-unreadable");
}

static void test_client_certificates(void **state) {
        struct fixture *fixture = *state;
        struct http_request request = PLAIN;
        char both[64], certificate[64], key[64], path[256];

        snprintf(both, sizeof both, "%s/client.both", farm.folder);
        snprintf(certificate, sizeof certificate, "%s/client.pem", farm.folder);
        snprintf(key, sizeof key, "%s/client.key", farm.folder);
        fetch(fixture, url_of("mutual", "/file"), PLAIN);
        assert_failed(fixture, "client-certificate-refused");
        request.client_certificate = both;
        fetch(fixture, url_of("mutual", "/file"), request);
        assert_complete(fixture, 200);
        request = (struct http_request){ .client_certificate = certificate, .client_key = key };
        fetch(fixture, url_of("mutual", "/file"), request);
        assert_complete(fixture, 200);
        /* It is a credential, too. */
        snprintf(path, sizeof path, "/redirect?to=%s", url_of("mutual", "/echo"));
        fetch(fixture, url_of("good", path), request);
        assert_failed(fixture, "client-certificate-refused");
        request.client_certificate = "/no/such/file";
        fetch(fixture, url_of("mutual", "/file"), request);
        assert_failed(fixture, "credentials-unreadable");
}

static void test_connections_that_fail(void **state) {
        struct fixture *fixture = *state;

        fetch(fixture, url_of("good", "/cut"), PLAIN);
        assert_failed(fixture, "download-interrupted");
        assert_int_equal(fixture->body_size, 100);
        fetch(fixture, url_of("good", "/garbage"), PLAIN);
        assert_failed(fixture, "protocol-error");
        fetch(fixture, url_of("good", "/hugehead"), PLAIN);
        assert_failed(fixture, "protocol-error");
        fetch(fixture, "https://127.0.0.1:1/file", PLAIN);
        assert_failed(fixture, "connection-refused");
        fetch(fixture, "https://a..b/file", PLAIN);
        assert_failed(fixture, "host-unresolvable");
}

static void test_a_stalled_server(void **state) {
        struct fixture *fixture = *state;

        fetch(fixture, url_of("good", "/stall"), (struct http_request){ .stall_timeout_ms = 100 });
        assert_failed(fixture, "download-timeout");
        assert_int_equal(fixture->body_size, 10);
        fetch(fixture, url_of("good", "/silent"), (struct http_request){ .stall_timeout_ms = 100 });
        assert_failed(fixture, "download-timeout");
        assert_int_equal(fixture->n_responses, 0);
        fetch(fixture, url_of("good", "/silent"), (struct http_request){ .total_timeout_ms = 200 });
        assert_failed(fixture, "download-timeout");
}

/* A listener whose backlog is full: a connection is neither made nor refused. */
static void test_no_connection_in_time(void **state) {
        struct sockaddr_storage address = { 0 };
        socklen_t size = sizeof address;
        struct fixture *fixture = *state;
        int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), clients[3];
        char url[64];

        address.ss_family = AF_INET;
        assert_int_equal(bind(listener, (struct sockaddr *) &address, sizeof(struct sockaddr_in)), 0);
        assert_int_equal(listen(listener, 0), 0);
        assert_int_equal(getsockname(listener, (struct sockaddr *) &address, &size), 0);
        for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
                clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
                (void) connect(clients[i], (struct sockaddr *) &address, size);
        }
        snprintf(url, sizeof url, "https://127.0.0.1:%d/", ntohs(((struct sockaddr_in *) &address)->sin_port));
        fetch(fixture, url, (struct http_request){ .connect_timeout_ms = 100 });
        assert_failed(fixture, "network-unreachable");
        for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
                close(clients[i]);
        close(listener);
}

static void test_urls_that_are_refused(void **state) {
        static const char *const bad[] = { "",
                                           "file",
                                           "http://127.0.0.1/",
                                           "ftp://127.0.0.1/",
                                           "https://",
                                           "https://user@127.0.0.1/",
                                           "https://user:password@127.0.0.1/",
                                           "https://a b/" };
        struct fixture *fixture = *state;
        struct http_request request = PLAIN;
        const char *const split[] = { "A: b\r\nC: d" };
        struct http_transfer *transfer = NULL;
        char too_long[HTTP_URL_MAX + 2];

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                fetch(fixture, bad[i], PLAIN);
                assert_failed(fixture, "url-invalid");
        }
        assert_int_equal(http_start(fixture->http, &request, &handler, fixture, &transfer), -EINVAL);
        memset(too_long, 'x', sizeof too_long - 1);
        too_long[sizeof too_long - 1] = '\0';
        request.url = too_long;
        assert_int_equal(http_start(fixture->http, &request, &handler, fixture, &transfer), -EINVAL);
        request = (struct http_request){ .url = "https://127.0.0.1/", .headers = split, .n_headers = 1 };
        assert_int_equal(http_start(fixture->http, &request, &handler, fixture, &transfer), -EINVAL);
        request = (struct http_request){ .url = "https://127.0.0.1/", .bearer = "a\nb" };
        assert_int_equal(http_start(fixture->http, &request, &handler, fixture, &transfer), -EINVAL);
        assert_null(transfer);
}

static void test_pausing_repeats_what_was_not_taken(void **state) {
        struct fixture *fixture = *state;
        _cleanup_free_ char *whole = malloc(FILE_SIZE);

        fetch(fixture, url_of("good", "/file"), PLAIN);
        memcpy(whole, fixture->body, FILE_SIZE);
        fixture->n_pauses = 5;
        fetch(fixture, url_of("good", "/file"), (struct http_request){ .stall_timeout_ms = 1000 });
        assert_complete(fixture, 200);
        assert_int_equal(fixture->n_paused, 5);
        assert_int_equal(fixture->body_size, FILE_SIZE);
        assert_memory_equal(fixture->body, whole, FILE_SIZE);
}

static void test_the_owner_ends_it(void **state) {
        struct fixture *fixture = *state;

        fixture->response_answer = -ENOSPC;
        fetch(fixture, url_of("good", "/file"), PLAIN);
        assert_int_equal(fixture->result, -ENOSPC);
        assert_string_equal(fixture->error.name, "");
        assert_int_equal(fixture->body_size, 0);
        fixture->response_answer = 0;
        fixture->data_answer = -EFBIG;
        fetch(fixture, url_of("good", "/file"), PLAIN);
        assert_int_equal(fixture->result, -EFBIG);
        assert_true(fixture->body_size < FILE_SIZE);
}

static void cancel_now(void *ctx) {
        struct fixture *fixture = ctx;

        http_cancel(fixture->transfer);
}

static void test_canceling(void **state) {
        struct fixture *fixture = *state;

        /* Before it began, in the middle of connecting, in a callback. */
        start(fixture, url_of("good", "/file"), PLAIN);
        http_cancel(fixture->transfer);
        assert_false(fixture->done);
        LOOP_UNTIL(fixture->loop, fixture->done);
        assert_int_equal(fixture->result, -ECANCELED);
        start(fixture, url_of("good", "/file"), PLAIN);
        assert_int_equal(loop_defer(fixture->loop, cancel_now, fixture, NULL), 0);
        LOOP_UNTIL(fixture->loop, fixture->done);
        assert_int_equal(fixture->result, -ECANCELED);
        assert_int_equal(fixture->n_responses, 0);
        fixture->cancel_on_data = true;
        fetch(fixture, url_of("good", "/file"), PLAIN);
        assert_int_equal(fixture->result, -ECANCELED);
        assert_string_equal(fixture->error.name, "");
        assert_true(fixture->body_size < FILE_SIZE);
        http_cancel(NULL);
}

static void test_many_at_once_and_all_finish(void **state) {
        struct fixture *fixture = *state, *many = calloc(12, sizeof *many);

        for (size_t i = 0; i < 12; i++) {
                many[i].loop = fixture->loop;
                many[i].http = fixture->http;
                start(&many[i], url_of(i % 2 ? "good" : "other", i % 3 ? "/file" : "/missing"), PLAIN);
        }
        for (size_t i = 0; i < 12; i++) {
                LOOP_UNTIL(fixture->loop, many[i].done);
                assert_complete(&many[i], i % 3 ? 200 : 404);
        }
        free(many);
}

static void test_what_it_needed_is_given_back_after_a_while(void **state) {
        struct fixture *fixture = *state;

        assert_null(fixture->http->multi);
        fixture->http->idle_ms = fixture->tls->idle_ms = 1;
        fetch(fixture, url_of("good", "/file"), PLAIN);
        LOOP_UNTIL(fixture->loop, !fixture->http->multi && list_is_empty(&fixture->tls->authorities));
        /* And nothing is left that could wake the loop. */
        alarm(TEST_WATCHDOG_S);
        loop_run(fixture->loop);
        alarm(0);
        fetch(fixture, url_of("good", "/file"), PLAIN);
        assert_complete(fixture, 200);
}

static void test_done_may_end_everything(void **state) {
        struct fixture *fixture = *state;

        fixture->free_when_done = true;
        fetch(fixture, url_of("good", "/file"), PLAIN);
        assert_complete(fixture, 200);
        assert_null(fixture->http);
}

static void test_a_rate_limit(void **state) {
        struct fixture *fixture = *state;
        int64_t start_ms = loop_now_ms(fixture->loop);

        fetch(fixture, url_of("good", "/file"), (struct http_request){ .rate_bytes_s = 600000, .stall_timeout_ms = 10 });
        assert_complete(fixture, 200);
        /* Half a second's worth of bytes, less one piece: the first is free. And a pause is no silence. */
        assert_true(loop_now_ms(fixture->loop) - start_ms >= 460);
        fetch(fixture, url_of("good", "/stall"), (struct http_request){ .rate_bytes_s = 600000, .stall_timeout_ms = 50 });
        assert_failed(fixture, "download-timeout");
}

static void test_a_name_service_that_hangs_holds_nobody_up(void **state) {
        struct fixture *fixture = *state;

        start(fixture, "https://slow.example/", PLAIN);
        LOOP_UNTIL(fixture->loop, sem_trywait(&lookup.begun) == 0);
        http_cancel(fixture->transfer);
        LOOP_UNTIL(fixture->loop, fixture->done);
        assert_int_equal(fixture->result, -ECANCELED);
        fetch(fixture, "https://slow.example/", (struct http_request){ .connect_timeout_ms = 50 });
        assert_failed(fixture, "network-unreachable");
        http_free(TAKE_PTR(fixture->http));
        /* Both still hang. */
        alarm(TEST_WATCHDOG_S);
        sem_wait(&lookup.begun);
        sem_post(&lookup.gate);
        sem_post(&lookup.gate);
        sem_wait(&lookup.ended);
        sem_wait(&lookup.ended);
        alarm(0);
}

/* ---- heads, without a server */

static struct http_response head_of(struct http_head *head, const char *const *lines) {
        struct http_response response;

        *head = (struct http_head){ 0 };
        for (size_t i = 0; lines[i]; i++)
                assert_int_equal(http_head_line(head, lines[i], strlen(lines[i])), 0);
        http_head_response(head, "https://a/", &response);
        return response;
}

static void test_heads(void **state) {
        static const char *const interim[] = { "HTTP/1.1 100 Continue\r\n", "ETag: early\r\n", "\r\n", "HTTP/1.1 200\r\n", "\r\n", NULL };
        static const char *const odd[] = { "HTTP/1.1 206 Partial\r\n",
                                           "eTAG:\t x \r\n",
                                           "nonsense\r\n",
                                           "Content-Range: bytes 5-9/*\r\n",
                                           "Content-Length: -5\r\n",
                                           "Retry-After: 99999999999\r\n",
                                           "\r\n",
                                           "ETag: trailer\r\n",
                                           NULL };
        static const char *const broken[] = { "HTTP/1.1 206 X\n", "Content-Range: bytes 9-5/10\n", "Retry-After: soon\n", "\n", NULL };
        struct http_response response;
        struct http_head head;
        (void) state;

        response = head_of(&head, interim);
        assert_true(head.complete);
        assert_int_equal(response.status, 200);
        assert_null(response.etag);
        response = head_of(&head, odd);
        assert_int_equal(response.status, 206);
        assert_string_equal(response.etag, "x");
        assert_int_equal(response.range_from, 5);
        assert_int_equal(response.range_to, 9);
        assert_int_equal(response.range_size, -1);
        assert_int_equal(response.content_length, -1);
        assert_int_equal(response.retry_after_ms, HTTP_RETRY_AFTER_MAX_MS);
        response = head_of(&head, broken);
        assert_int_equal(response.range_from, -1);
        assert_int_equal(response.retry_after_ms, -1);
}

static void test_origins(void **state) {
        (void) state;
        assert_true(http_url_same_origin("https://A.example/x", "https://a.example:443/y"));
        assert_false(http_url_same_origin("https://a.example/", "https://a.example:444/"));
        assert_false(http_url_same_origin("https://a.example/", "http://a.example:443/"));
        assert_false(http_url_same_origin("https://a.example/", "https://b.example/"));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_a_file),
                TEST(test_the_rest_of_a_file),
                TEST(test_a_status_is_no_failure_of_the_transfer),
                TEST(test_retry_after),
                TEST(test_chunked_with_a_trailer),
                TEST(test_methods_and_bodies),
                TEST(test_credentials_reach_the_server),
                TEST(test_redirects_are_followed),
                TEST(test_redirects_that_are_refused),
                TEST(test_only_reading_is_redirected),
                TEST(test_credentials_never_leave_their_origin),
                TEST(test_addresses_are_judged_when_connected),
                TEST(test_bad_certificates_have_names),
                TEST(test_client_certificates),
                TEST(test_connections_that_fail),
                TEST(test_a_stalled_server),
                TEST(test_no_connection_in_time),
                TEST(test_urls_that_are_refused),
                TEST(test_pausing_repeats_what_was_not_taken),
                TEST(test_the_owner_ends_it),
                TEST(test_canceling),
                TEST(test_many_at_once_and_all_finish),
                TEST(test_what_it_needed_is_given_back_after_a_while),
                TEST(test_done_may_end_everything),
                TEST(test_a_rate_limit),
                TEST(test_a_name_service_that_hangs_holds_nobody_up),
                cmocka_unit_test(test_heads),
                cmocka_unit_test(test_origins),
        };

        sem_init(&lookup.begun, 0, 0);
        sem_init(&lookup.gate, 0, 0);
        sem_init(&lookup.ended, 0, 0);
        return cmocka_run_group_tests(tests, farm_start, farm_stop);
}
