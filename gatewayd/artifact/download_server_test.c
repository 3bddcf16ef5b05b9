/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Downloads over TLS from a real server (download_test_server.py), which counts what it sends. For the crashes the program calls
 * itself as a child that downloads, and kills it.
 */
#include "artifact/artifact.h"

#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "artifact/test_support.h"

#define SIZE 3000000u

static struct {
        pid_t pid;
        int input; /* closed: it ends */
        int port;
        char folder[64];
        uint8_t *bytes;
        uint8_t sha256[DIGEST_SIZE];
} server;

/* ---- the server */

static void write_bytes(const char *path, const void *bytes, size_t size) {
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_int_equal(write(fd, bytes, size), size);
}

static int server_start(void **state) {
        _cleanup_fclose_ FILE *output = NULL;
        char path[96];
        int to[2], from[2];

        (void) state;
        snprintf(server.folder, sizeof server.folder, "/tmp/gatewayd-server.XXXXXX");
        assert_non_null(mkdtemp(server.folder));
        server.bytes = make_bytes(SIZE, 3);
        digest_sha256(server.bytes, SIZE, server.sha256);
        snprintf(path, sizeof path, "%s/file", server.folder);
        write_bytes(path, server.bytes, SIZE);
        assert_int_equal(pipe2(to, O_CLOEXEC), 0);
        assert_int_equal(pipe2(from, O_CLOEXEC), 0);
        server.pid = fork();
        if (server.pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                dup2(to[0], 0);
                dup2(from[1], 1);
                execl("/usr/bin/python3", "python3", GW_SOURCE_DIR "/gatewayd/artifact/download_test_server.py", server.folder, NULL);
                _exit(127);
        }
        close(to[0]);
        close(from[1]);
        server.input = to[1];
        output = fdopen(from[0], "r");
        return fscanf(output, "%d", &server.port) == 1 ? 0 : -1;
}

static int server_stop(void **state) {
        (void) state;
        close(server.input);
        waitpid(server.pid, NULL, 0);
        free(server.bytes);
        return nftw(server.folder, cache_remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

struct answer {
        char path[64];
        int status;
        uint64_t first, sent;
};

/* The answers so far; a line is written when an answer has ended. */
static size_t read_log(struct answer *answers, size_t max) {
        _cleanup_fclose_ FILE *file = NULL;
        char path[96];
        size_t n = 0;

        snprintf(path, sizeof path, "%s/log", server.folder);
        file = fopen(path, "re");
        while (file && n < max &&
               fscanf(file, "%63s %d %lu %lu", answers[n].path, &answers[n].status, &answers[n].first, &answers[n].sent) == 4)
                n++;
        return n;
}

static void clear_log(void) {
        char path[96];

        snprintf(path, sizeof path, "%s/log", server.folder);
        (void) unlink(path);
}

static void server_url(const char *path, char ret_url[128]) {
        snprintf(ret_url, 128, "https://127.0.0.1:%d%s", server.port, path);
}

/* ---- the cache under test */

static void configure(struct cache *cache, const char *more) {
        _cleanup_free_ char *text = NULL;

        assert_true(asprintf(&text, "[artifacts]\nreserve = 0\nallow_private = loopback\n%s\n[trust]\nca_file = %s/certificate.pem\n", more,
                             server.folder) > 0);
        cache_configure(cache, text);
}

static int setup(void **state) {
        cache_setup(state);
        configure(*state, "");
        clear_log();
        return 0;
}

static void fetch(struct cache *cache, const char *path, struct request *request) {
        char url[128];

        server_url(path, url);
        request_start(cache, request, url, SIZE, server.sha256);
}

static void assert_good(struct cache *cache, struct request *request) {
        LOOP_UNTIL(cache->loop, request->done);
        if (request->result < 0)
                fail_msg("%s: %s", request->error.name, request->error.text);
        assert_cached(cache, server.sha256, server.bytes, SIZE);
}

static void assert_failed(struct cache *cache, struct request *request, const char *name) {
        LOOP_UNTIL(cache->loop, request->done);
        assert_true(request->result < 0);
        assert_string_equal(request->error.name, name);
        assert_int_equal(file_size(cache, server.sha256, ".part"), -1);
}

static void test_fetch(void **state) {
        struct request request;

        fetch(*state, "/file", &request);
        assert_good(*state, &request);
}

static void test_redirect(void **state) {
        struct request request;

        fetch(*state, "/redirect", &request);
        assert_good(*state, &request);
}

static void test_cuts_cost_no_byte_twice(void **state) {
        struct answer answers[8];
        struct request request;
        uint64_t sent = 0;
        size_t n;

        fetch(*state, "/cut/800000", &request);
        assert_good(*state, &request);
        n = read_log(answers, ARRAY_SIZE(answers));
        assert_true(n >= 3); /* the last line may still be on its way */
        for (size_t i = 0; i < n; i++) {
                assert_int_equal(answers[i].status, i == 0 ? 200 : 206);
                assert_int_equal(answers[i].first, sent);
                sent += answers[i].sent;
        }
        assert_true(sent <= SIZE);
}

static void test_changed_etag(void **state) {
        struct answer answers[4];
        struct request request;

        fetch(*state, "/changing", &request);
        assert_good(*state, &request);
        assert_true(read_log(answers, ARRAY_SIZE(answers)) >= 1);
        assert_int_equal(answers[0].sent, 300000);
        assert_string_equal(request.waited, "download-interrupted ");
}

static void test_refusals(void **state) {
        struct cache *cache = *state;
        struct answer answers[4];
        struct request request;

        fetch(cache, "/absent", &request);
        assert_failed(cache, &request, "artifact-not-found");
        assert_int_equal(read_log(answers, ARRAY_SIZE(answers)), 1);
        fetch(cache, "/secret", &request);
        assert_failed(cache, &request, "artifact-forbidden");
        fetch(cache, "/count/2/file", &request);
        assert_good(cache, &request);
        assert_string_equal(request.waited, "server-busy server-busy ");
}

static void test_credentials(void **state) {
        struct cache *cache = *state;
        _cleanup_free_ char *text = NULL;
        struct request request;
        char path[128];

        snprintf(path, sizeof path, "%s/password", cache->directory);
        write_bytes(path, "secret\n", 7);
        assert_true(asprintf(&text, "[source here]\nprefix = https://127.0.0.1:%d/\nuser = pi\npassword_file = %s\n", server.port, path) >
                    0);
        configure(cache, text);
        fetch(cache, "/secret", &request);
        assert_good(cache, &request);
}

static void test_wrong_bytes(void **state) {
        struct cache *cache = *state;
        uint8_t sha256[DIGEST_SIZE] = { 1 };
        struct request request;
        char url[128];

        server_url("/file", url);
        request_start(cache, &request, url, SIZE, sha256);
        LOOP_UNTIL(cache->loop, request.done);
        assert_string_equal(request.error.name, "digest-mismatch");
        request_start(cache, &request, url, SIZE - 1, server.sha256);
        assert_failed(cache, &request, "size-mismatch");
}

static void test_who_may_be_asked(void **state) {
        struct cache *cache = *state;
        struct request request;

        cache_configure(cache, "[artifacts]\nreserve = 0\nallow_private = loopback\n"); /* the system's authorities */
        fetch(cache, "/file", &request);
        assert_failed(cache, &request, "peer-certificate-untrusted");
        cache_configure(cache, "[artifacts]\nreserve = 0\n");
        fetch(cache, "/file", &request);
        assert_failed(cache, &request, "target-address-refused");
        configure(cache, "");
        fetch(cache, "/file", &request);
        assert_good(cache, &request);
}

static void test_restart(void **state) {
        struct cache *cache = *state;
        struct request request;
        int64_t present;

        fetch(cache, "/slow", &request);
        LOOP_UNTIL(cache->loop, request.received > SIZE / 3);
        cache_close(cache);
        present = file_size(cache, server.sha256, ".part");
        assert_true(present > SIZE / 3);
        cache_open(cache);
        clear_log();
        fetch(cache, "/slow", &request);
        LOOP_UNTIL(cache->loop, request.n_progress > 0);
        assert_true(request.received >= (uint64_t) present);
        assert_good(cache, &request);
}

/* ---- crashes */

/* The child: downloads in the given state directory, writes a byte when the first progress was made, and another at the end. */
static int run_child(char **arguments) {
        struct cache cache = { .options = { .retry_first_ms = 20 } };
        struct request request;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        snprintf(cache.directory, sizeof cache.directory, "%s", arguments[0]);
        snprintf(server.folder, sizeof server.folder, "%s", arguments[1]);
        server.port = atoi(arguments[2]);
        str_hex_decode(server.sha256, sizeof server.sha256, arguments[3]);
        clock_fake_init(&cache.clock, 0, 1);
        cache.settings = cache_settings(&cache, "");
        if (loop_new(&cache.loop) < 0 || tls_new(cache.loop, &cache.tls) < 0 || http_new(cache.loop, tls_http(), cache.tls, &cache.http) < 0)
                return 1;
        cache_open(&cache);
        configure(&cache, "");
        fetch(&cache, "/slow", &request);
        LOOP_UNTIL(cache.loop, request.n_progress > 0 || request.done);
        if (write(1, "p", 1) != 1)
                return 1;
        LOOP_UNTIL(cache.loop, request.done);
        return request.result == 0 && write(1, "d", 1) == 1 ? 0 : 1;
}

static pid_t start_child(const struct cache *cache, int output) {
        char port[16], hex[DIGEST_HEX_SIZE];
        pid_t pid;

        snprintf(port, sizeof port, "%d", server.port);
        assert_int_equal(str_hex_encode(hex, sizeof hex, server.sha256, DIGEST_SIZE), 0);
        pid = fork();
        if (pid == 0) {
                dup2(output, 1);
                execl("/proc/self/exe", "child", cache->directory, server.folder, port, hex, NULL);
                _exit(127);
        }
        assert_true(pid > 0);
        return pid;
}

/* true: killed; false: it was done first. */
static bool run_and_kill(const struct cache *cache, long delay_us) {
        struct timespec delay = { .tv_nsec = delay_us * 1000 };
        int fds[2], status;
        char byte;
        pid_t pid;

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        pid = start_child(cache, fds[1]);
        close(fds[1]);
        assert_int_equal(poll(&(struct pollfd){ .fd = fds[0], .events = POLLIN }, 1, 30000), 1);
        assert_int_equal(read(fds[0], &byte, 1), 1);
        nanosleep(&delay, NULL); /* the moment is the point here */
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        close(fds[0]);
        return WIFSIGNALED(status);
}

static void test_killed_again_and_again(void **state) {
        struct cache *cache = *state;
        unsigned seed = (unsigned) time(NULL);
        struct request request;
        int64_t present = 0;
        int n_kills = 0;

        print_message("seed %u\n", seed);
        cache_close(cache);
        while (n_kills < 6 && run_and_kill(cache, rand_r(&seed) % 100000)) {
                int64_t size = file_size(cache, server.sha256, ".part");

                if (size < 0) /* killed just behind the rename */
                        break;
                assert_true(size >= present); /* never from zero */
                present = size;
                n_kills++;
        }
        assert_true(n_kills >= 1);
        cache_open(cache);
        clear_log();
        fetch(cache, "/file", &request);
        assert_good(cache, &request);
}

/* The first answer for this path; those of the child that was killed may still be written, too. */
static const struct answer *await_answer(const char *path) {
        static struct answer answers[16];

        alarm(TEST_WATCHDOG_S);
        for (;;) {
                size_t n = read_log(answers, ARRAY_SIZE(answers));

                for (size_t i = 0; i < n; i++) {
                        if (strcmp(answers[i].path, path) != 0)
                                continue;
                        alarm(0);
                        return &answers[i];
                }
        }
}

/* Only the rest is asked for. */
static void test_server_counts_after_a_kill(void **state) {
        struct cache *cache = *state;
        const struct answer *answer;
        struct request request;
        int64_t present;

        cache_close(cache);
        assert_true(run_and_kill(cache, 1000));
        present = file_size(cache, server.sha256, ".part");
        assert_true(present > 0);
        cache_open(cache);
        clear_log();
        fetch(cache, "/cut/100000", &request); /* its first answer ends soon, so that its line is there */
        LOOP_UNTIL(cache->loop, request.n_waiting == 1);
        answer = await_answer("/cut/100000");
        assert_int_equal(answer->status, 206);
        assert_int_equal(answer->first, present);
        assert_good(cache, &request);
}

/* ---- a disk that is really full */

static void test_full_file_system(void **state) {
        struct cache *cache = *state;
        char path[128], filler[160];
        struct request request;

        snprintf(path, sizeof path, "%s/artifacts", cache->directory);
        cache_close(cache);
        if (mount("tmpfs", path, "tmpfs", 0, "size=4m") < 0) {
                print_message("no right to mount a file system here: left out\n");
                cache_open(cache);
                skip();
        }
        cache_open(cache);
        snprintf(filler, sizeof filler, "%s/filler", path);
        write_bytes(filler, server.bytes, 2000000);
        fetch(cache, "/file", &request);
        LOOP_UNTIL(cache->loop, request.n_waiting == 1);
        assert_string_equal(request.waiting.name, "disk-full");
        assert_int_equal(unlink(filler), 0);
        assert_good(cache, &request);
        cache_close(cache);
        assert_int_equal(umount(path), 0);
        cache_open(cache);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, cache_teardown)

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                TEST(test_fetch),
                TEST(test_redirect),
                TEST(test_cuts_cost_no_byte_twice),
                TEST(test_changed_etag),
                TEST(test_refusals),
                TEST(test_credentials),
                TEST(test_wrong_bytes),
                TEST(test_who_may_be_asked),
                TEST(test_restart),
                TEST(test_killed_again_and_again),
                TEST(test_server_counts_after_a_kill),
                TEST(test_full_file_system),
        };

        if (argc == 5 && strcmp(argv[0], "child") == 0)
                return run_child(argv + 1);
        return cmocka_run_group_tests(tests, server_start, server_stop);
}
