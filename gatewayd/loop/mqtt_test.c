/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/mqtt.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "loop/test_support.h"
#include "loop/timer.h"

/* Against a real mosquitto on loopback, and against sockets that do what no broker should. */

#define BROKER "/usr/sbin/mosquitto"
#define EVENTS_MAX 64

static struct loop *loop;
static char folder[] = "/tmp/mqtt-test-XXXXXX";

/* --- a broker --- */

static struct broker {
        pid_t pid;
        uint16_t port;
} broker;

static int listener_new(uint16_t *ret_port, int backlog) {
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t size = sizeof address;
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(fd >= 0);
        assert_int_equal(bind(fd, (struct sockaddr *) &address, sizeof address), 0);
        assert_int_equal(listen(fd, backlog), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *) &address, &size), 0);
        *ret_port = ntohs(address.sin_port);
        return fd;
}

static uint16_t free_port(void) {
        uint16_t port;
        close(listener_new(&port, 1));
        return port;
}

static void write_file(const char *name, const char *text) {
        char path[128];
        FILE *file;
        (void) str_format(path, sizeof path, "%s/%s", folder, name);
        file = fopen(path, "we");
        assert_non_null(file);
        fputs(text, file);
        fclose(file);
}

static void broker_start(void) {
        char config[256], path[128];
        (void) str_format(config, sizeof config,
                          "listener %u 127.0.0.1\nallow_anonymous true\nacl_file %s/acl\nuser root\nmax_inflight_messages 4\n"
                          "max_packet_size 20000\npassword_file %s/users\nlog_dest none\n",
                          broker.port, folder, folder);
        write_file("conf", config);
        (void) str_format(path, sizeof path, "%s/conf", folder);
        broker.pid = fork();
        if (broker.pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL); /* also when a test fails */
                (void) !freopen("/dev/null", "w", stdout);
                (void) !freopen("/dev/null", "w", stderr);
                execl(BROKER, BROKER, "-c", path, NULL);
                _exit(127);
        }
        assert_true(broker.pid > 0);
}

static void broker_stop(void) {
        if (broker.pid <= 0)
                return;
        kill(broker.pid, SIGKILL);
        waitpid(broker.pid, NULL, 0);
        broker.pid = 0;
}

/* --- a client that writes down what it is told --- */

struct client {
        struct mqtt *mqtt;
        size_t n_connected, n_disconnected, n_messages, n_room, n_done;
        struct mqtt_connection connection;
        struct mqtt_failure failure;
        int reasons[EVENTS_MAX];
        char topic[MQTT_TOPIC_MAX + 1], payload[64], response_topic[64], correlation[32];
        size_t size;
        bool retained;
        bool free_when_told;
};

static void connected(void *ctx, const struct mqtt_connection *connection) {
        struct client *client = ctx;
        client->n_connected++;
        client->connection = *connection;
}

static void disconnected(void *ctx, const struct mqtt_failure *failure) {
        struct client *client = ctx;
        client->n_disconnected++;
        client->failure = *failure;
        if (client->free_when_told)
                mqtt_free(TAKE_PTR(client->mqtt), false);
}

static void message(void *ctx, const struct mqtt_message *came) {
        struct client *client = ctx;
        client->n_messages++;
        client->retained = came->retained;
        client->size = came->size;
        (void) str_copy(client->topic, sizeof client->topic, came->topic);
        (void) str_copy(client->payload, sizeof client->payload, came->payload);
        (void) str_copy(client->response_topic, sizeof client->response_topic, came->response_topic ? came->response_topic : "");
        (void) str_copy_n(client->correlation, sizeof client->correlation, came->correlation ? came->correlation : "", came->correlation_size);
        if (client->free_when_told)
                mqtt_free(TAKE_PTR(client->mqtt), false);
}

static void room(void *ctx) {
        ((struct client *) ctx)->n_room++;
}

static const struct mqtt_handler handler = { .connected = connected, .disconnected = disconnected, .message = message, .room = room };

static void done(void *ctx, int reason) {
        struct client *client = ctx;
        client->reasons[client->n_done++ % EVENTS_MAX] = reason;
}

static struct mqtt_options options_of(const char *id) {
        return (struct mqtt_options){ .host = "127.0.0.1", .port = broker.port, .client_id = id, .backoff_first_ms = 20, .backoff_max_ms = 50 };
}

static void open_with(struct client *client, const struct mqtt_options *options) {
        *client = (struct client){ 0 };
        assert_int_equal(mqtt_new(loop, options, &handler, client, &client->mqtt), 0);
}

static void open_client(struct client *client, const char *id) {
        struct mqtt_options options = options_of(id);
        open_with(client, &options);
        LOOP_UNTIL(loop, client->n_connected == 1);
}

static void subscribe(struct client *client, const char *filter) {
        size_t n = client->n_done;
        assert_int_equal(mqtt_subscribe(client->mqtt, filter, done, client), 0);
        LOOP_UNTIL(loop, client->n_done == n + 1);
        assert_int_equal(client->reasons[n % EVENTS_MAX], 1); /* QoS 1 granted */
}

static int publish(struct client *client, const char *topic, const char *text, bool retain) {
        struct mqtt_publication publication = { .topic = topic, .payload = text, .size = strlen(text), .retain = retain };
        return mqtt_publish(client->mqtt, &publication, done, client);
}

/* The last reason. */
static int publish_and_wait(struct client *client, const char *topic, const char *text, bool retain) {
        size_t n = client->n_done;
        assert_int_equal(publish(client, topic, text, retain), 0);
        LOOP_UNTIL(loop, client->n_done == n + 1);
        return client->reasons[n % EVENTS_MAX];
}

static void close_client(struct client *client) {
        mqtt_free(TAKE_PTR(client->mqtt), false);
}

static int set_up(void **state) {
        (void) state;
        broker.port = free_port();
        return loop_new(&loop);
}

static int tear_down(void **state) {
        (void) state;
        broker_stop();
        loop_free(TAKE_PTR(loop));
        return 0;
}

static int set_up_broker(void **state) {
        int r = set_up(state);
        write_file("acl", "topic readwrite a/#\ntopic read secret\n");
        write_file("users", "");
        broker_start();
        return r;
}

/* --- talking --- */

static void test_a_message_with_its_properties(void **state) {
        struct client a, b;
        struct mqtt_publication publication = { .topic = "a/x",
                                                .payload = "hello",
                                                .size = 5,
                                                .response_topic = "a/reply",
                                                .correlation = "c-1",
                                                .correlation_size = 3,
                                                .expiry_s = 60 };
        (void) state;
        open_client(&a, "a");
        open_client(&b, "b");
        assert_true(mqtt_is_connected(a.mqtt));
        assert_int_equal(a.connection.in_flight_max, 4);
        assert_int_equal(a.connection.packet_max, 20000);
        assert_false(a.connection.session_present);
        subscribe(&b, "a/#");
        assert_int_equal(mqtt_publish(a.mqtt, &publication, done, &a), 0);
        LOOP_UNTIL(loop, a.n_done == 1 && b.n_messages == 1);
        assert_int_equal(a.reasons[0], MQTT_REASON_SUCCESS);
        assert_string_equal(b.topic, "a/x");
        assert_string_equal(b.payload, "hello");
        assert_int_equal(b.size, 5);
        assert_string_equal(b.response_topic, "a/reply");
        assert_string_equal(b.correlation, "c-1");
        assert_false(b.retained);
        close_client(&a);
        close_client(&b);
}

static void test_retained_is_marked_and_cleared(void **state) {
        struct client a, b;
        (void) state;
        open_client(&a, "a");
        assert_int_equal(publish_and_wait(&a, "a/doc", "one", true), MQTT_REASON_NO_SUBSCRIBERS);
        open_client(&b, "b");
        subscribe(&b, "a/doc");
        LOOP_UNTIL(loop, b.n_messages == 1);
        assert_true(b.retained);
        assert_string_equal(b.payload, "one");
        (void) publish_and_wait(&a, "a/doc", "", true);
        LOOP_UNTIL(loop, b.n_messages == 2);
        assert_int_equal(b.size, 0);
        close_client(&b);
        open_client(&b, "c");
        subscribe(&b, "a/doc");
        (void) publish_and_wait(&a, "a/doc", "live", false);
        LOOP_UNTIL(loop, b.n_messages == 1);
        assert_string_equal(b.payload, "live"); /* nothing retained came before */
        close_client(&a);
        close_client(&b);
}

static void test_no_more_in_flight_than_the_broker_takes(void **state) {
        struct client a;
        size_t n = 0;
        (void) state;
        open_client(&a, "a");
        while (publish(&a, "a/n", "x", false) == 0)
                n++;
        assert_int_equal(n, 4);
        assert_int_equal(publish(&a, "a/n", "x", false), -EAGAIN);
        assert_int_equal(a.n_room, 0);
        LOOP_UNTIL(loop, a.n_room == 1);
        assert_int_equal(publish(&a, "a/n", "x", false), 0);
        LOOP_UNTIL(loop, a.n_done == 5);
        assert_int_equal(a.n_room, 1);
        close_client(&a);
}

static void test_too_large_is_refused_here(void **state) {
        struct client a;
        static char text[20001];
        (void) state;
        memset(text, 'x', sizeof text - 1);
        open_client(&a, "a");
        assert_int_equal(publish(&a, "a/n", text, false), -EMSGSIZE);
        assert_int_equal(publish(&a, "a/+", "x", false), -EINVAL);
        assert_int_equal(publish_and_wait(&a, "a/n", "x", false), MQTT_REASON_NO_SUBSCRIBERS);
        close_client(&a);
}

static void test_the_acl_refuses(void **state) {
        struct client a;
        struct gw_error err;
        (void) state;
        open_client(&a, "a");
        assert_int_equal(publish_and_wait(&a, "secret", "x", false), MQTT_REASON_NOT_AUTHORIZED);
        mqtt_reason_error(a.reasons[0], "publish to", "secret", &err);
        assert_string_equal(err.name, "broker-acl-missing");
        assert_int_equal(publish_and_wait(&a, "a/n", "x", false), MQTT_REASON_NO_SUBSCRIBERS);
        close_client(&a);
}

static void test_unsubscribed_hears_nothing(void **state) {
        struct client a, b;
        (void) state;
        open_client(&a, "a");
        open_client(&b, "b");
        subscribe(&b, "a/one");
        subscribe(&b, "a/two");
        assert_int_equal(mqtt_unsubscribe(b.mqtt, "a/one", done, &b), 0);
        LOOP_UNTIL(loop, b.n_done == 3);
        (void) publish_and_wait(&a, "a/one", "x", false);
        (void) publish_and_wait(&a, "a/two", "y", false);
        LOOP_UNTIL(loop, b.n_messages == 1);
        assert_string_equal(b.topic, "a/two");
        close_client(&a);
        close_client(&b);
}

/* --- ends --- */

static void test_a_broker_that_comes_later(void **state) {
        struct client a;
        struct mqtt_options options = options_of("a");
        (void) state;
        open_with(&a, &options);
        LOOP_UNTIL(loop, a.n_disconnected == 3);
        assert_string_equal(a.failure.err.name, "connection-refused");
        assert_false(a.failure.was_connected);
        assert_int_equal(publish(&a, "a/n", "x", false), -ENOTCONN);
        write_file("acl", "topic readwrite a/#\n");
        write_file("users", "");
        broker_start();
        LOOP_UNTIL(loop, a.n_connected == 1);
        close_client(&a);
}

static void test_a_session_outlives_the_connection(void **state) {
        struct client a, b;
        struct mqtt_options options = options_of("a");
        (void) state;
        options.session_expiry_s = 600;
        open_with(&a, &options);
        LOOP_UNTIL(loop, a.n_connected == 1);
        subscribe(&a, "a/x");
        close_client(&a);
        open_client(&b, "b");
        (void) publish_and_wait(&b, "a/x", "kept", false);
        open_with(&a, &options);
        LOOP_UNTIL(loop, a.n_messages == 1);
        assert_true(a.connection.session_present);
        assert_string_equal(a.payload, "kept");
        close_client(&a);
        close_client(&b);
}

static void test_a_broker_that_dies(void **state) {
        struct client a;
        (void) state;
        open_client(&a, "a");
        assert_int_equal(kill(broker.pid, SIGSTOP), 0);
        assert_int_equal(publish(&a, "a/n", "x", false), 0);
        broker_stop();
        LOOP_UNTIL(loop, a.n_disconnected >= 1 && a.n_done == 1);
        assert_int_equal(a.reasons[0], -ENOTCONN);
        broker_start();
        LOOP_UNTIL(loop, a.n_connected == 2);
        assert_int_equal(publish_and_wait(&a, "a/n", "x", false), MQTT_REASON_NO_SUBSCRIBERS);
        close_client(&a);
}

static void test_a_wrong_password(void **state) {
        struct client a;
        struct mqtt_options options = options_of("a");
        (void) state;
        options.user = "nobody";
        options.password = "wrong";
        open_with(&a, &options);
        LOOP_UNTIL(loop, a.failure.reason != 0); /* before, the broker is starting */
        assert_string_equal(a.failure.err.name, "broker-credentials-refused");
        assert_true(a.failure.reason >= MQTT_REASON_FAILURE);
        assert_int_equal(a.n_connected, 0);
        close_client(&a);
}

static void test_the_will(void **state) {
        struct client a, b;
        struct mqtt_options options = options_of("a");
        (void) state;
        options.will = (struct mqtt_will){ .topic = "a/status", .payload = "gone", .size = 4 };
        open_client(&b, "b");
        subscribe(&b, "a/#");
        open_with(&a, &options);
        LOOP_UNTIL(loop, a.n_connected == 1);
        mqtt_free(TAKE_PTR(a.mqtt), true);
        LOOP_UNTIL(loop, b.n_messages == 1);
        assert_string_equal(b.payload, "gone");
        assert_true(b.retained);
        open_with(&a, &options);
        LOOP_UNTIL(loop, a.n_connected == 1);
        close_client(&a);
        (void) publish_and_wait(&b, "a/own", "x", false); /* not heard by itself */
        assert_int_equal(b.n_messages, 1);
        close_client(&b);
}

static void test_what_we_say_ourselves(void **state) {
        struct client a;
        (void) state;
        open_client(&a, "a");
        assert_int_equal(mqtt_subscribe_with_own(a.mqtt, "a/#", done, &a), 0);
        (void) publish_and_wait(&a, "a/own", "x", false);
        LOOP_UNTIL(loop, a.n_messages == 1);
        assert_string_equal(a.payload, "x");
        close_client(&a);
}

static void test_freed_from_inside(void **state) {
        struct client a, b;
        (void) state;
        open_client(&a, "a");
        open_client(&b, "b");
        subscribe(&b, "a/x");
        b.free_when_told = true;
        (void) publish_and_wait(&a, "a/x", "1", false);
        LOOP_UNTIL(loop, !b.mqtt);
        a.free_when_told = true;
        broker_stop();
        LOOP_UNTIL(loop, !a.mqtt);
        assert_string_equal(a.failure.err.name, "broker-lost");
}

/* --- what is no broker --- */

static void test_a_black_hole(void **state) {
        struct client a;
        int fillers[4];
        struct mqtt_options options;
        int listener = listener_new(&broker.port, 0);
        (void) state;
        /* A full queue of a listener drops what comes next. */
        for (size_t i = 0; i < ARRAY_SIZE(fillers); i++) {
                struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(broker.port) };
                fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
                (void) connect(fillers[i], (struct sockaddr *) &address, sizeof address);
        }
        options = options_of("a");
        options.connect_timeout_ms = 100;
        open_with(&a, &options);
        LOOP_UNTIL(loop, a.n_disconnected == 1);
        assert_string_equal(a.failure.err.name, "network-unreachable");
        loop_turn(loop);
        close_client(&a); /* returns though a thread hangs */
        options.connect_timeout_ms = 0;
        open_with(&a, &options);
        loop_turn(loop);
        loop_turn(loop);
        close_client(&a);
        assert_int_equal(a.n_disconnected, 0);
        for (size_t i = 0; i < ARRAY_SIZE(fillers); i++)
                close(fillers[i]);
        close(listener);
}

static void test_a_name_that_does_not_exist(void **state) {
        struct client a;
        struct mqtt_options options = options_of("a");
        (void) state;
        options.host = "no-such-host.invalid";
        open_with(&a, &options);
        LOOP_UNTIL(loop, a.n_disconnected == 1);
        assert_string_equal(a.failure.err.name, "host-unresolvable");
        close_client(&a);
}

/* Accepts one after the other, reads what comes first, sends its bytes, reads to the end. */
struct fake {
        int listener;
        const uint8_t *bytes;
        size_t size;
        size_t n_more; /* zeros behind them */
        bool hang_up;
        pthread_t thread;
        uint8_t seen[4096];
        _Atomic size_t n_seen;
};

static void *serve(void *ctx) {
        struct fake *fake = ctx;
        static const uint8_t zeros[65536];
        int fd;
        while ((fd = accept(fake->listener, NULL, NULL)) >= 0) {
                uint8_t scratch[1024];
                ssize_t n = read(fd, scratch, sizeof scratch);
                if (n > 0)
                        (void) !send(fd, fake->bytes, fake->size, MSG_NOSIGNAL);
                for (size_t sent = 0; n > 0 && sent < fake->n_more; sent += (size_t) n)
                        n = send(fd, zeros, sizeof zeros, MSG_NOSIGNAL);
                while (!fake->hang_up && (n = read(fd, scratch, sizeof scratch)) > 0)
                        for (ssize_t i = 0; i < n && fake->n_seen < sizeof fake->seen; i++)
                                fake->seen[fake->n_seen++] = scratch[i];
                close(fd);
        }
        return NULL;
}

static void fake_start(struct fake *fake) {
        fake->listener = listener_new(&broker.port, 8);
        assert_int_equal(pthread_create(&fake->thread, NULL, serve, fake), 0);
}

static void fake_stop(struct fake *fake) {
        shutdown(fake->listener, SHUT_RDWR);
        pthread_join(fake->thread, NULL);
        close(fake->listener);
}

#define CONNACK 0x20, 0x03, 0x00, 0x00, 0x00

static void test_nonsense(void **state) {
        static const uint8_t http[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
        static const uint8_t twice[] = { CONNACK, 0x20, 0x03, 0x00, 0x00 };
        static const uint8_t publish_before[] = { 0x30, 0x05, 0x00, 0x01, 'a', 0x00, 'x' };
        static const uint8_t endless_length[] = { 0x20, 0xff, 0xff, 0xff, 0xff, 0xff };
        static const uint8_t refused[] = { 0x20, 0x03, 0x00, 0x88, 0x00 };
        static const uint8_t huge[] = { CONNACK, 0x30, 0xff, 0xff, 0xff, 0x7f };
        static const struct {
                const char *title;
                const uint8_t *bytes;
                size_t size, n_more;
                bool hang_up;
                const char *error;
        } cases[] = {
                { "another protocol", http, sizeof http - 1, 4096, false, "broker-protocol-error" },
                { "a broken second CONNACK", twice, sizeof twice, 4096, false, "broker-protocol-error" },
                { "a message before CONNACK", publish_before, sizeof publish_before, 0, false, "broker-protocol-error" },
                { "a length without end", endless_length, sizeof endless_length, 0, false, "broker-protocol-error" },
                { "server unavailable", refused, sizeof refused, 0, false, "broker-refused" },
                { "a packet of 256 MB", huge, sizeof huge, 64u * 1024u * 1024u, false, "broker-protocol-error" },
                { "hangs up", NULL, 0, 0, true, "broker-lost" },
                { "says nothing", NULL, 0, 0, false, "broker-silent" },
        };
        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct fake fake = { .bytes = cases[i].bytes, .size = cases[i].size, .n_more = cases[i].n_more, .hang_up = cases[i].hang_up };
                struct mqtt_options options;
                struct client a;
                fake_start(&fake);
                options = options_of("a");
                options.connect_timeout_ms = 300;
                open_with(&a, &options);
                LOOP_UNTIL(loop, a.n_disconnected >= 1);
                if (strcmp(a.failure.err.name, cases[i].error) != 0)
                        fail_msg("%s: %s: %s", cases[i].title, a.failure.err.name, a.failure.err.text);
                close_client(&a);
                fake_stop(&fake);
        }
}

/* mosquitto 2.0.11 closes without a word; others say why. */
static void test_another_with_the_same_id(void **state) {
        static const uint8_t bytes[] = { CONNACK, 0xe0, 0x01, 0x8e };
        struct fake fake = { .bytes = bytes, .size = sizeof bytes };
        struct mqtt_options options;
        struct client a;
        (void) state;
        fake_start(&fake);
        options = options_of("a");
        options.taken_over_backoff_ms = 3600 * 1000;
        open_with(&a, &options);
        LOOP_UNTIL(loop, a.n_disconnected == 1);
        assert_string_equal(a.failure.err.name, "broker-session-taken-over");
        assert_int_equal(a.failure.reason, MQTT_REASON_TAKEN_OVER);
        assert_true(a.failure.was_connected);
        assert_true(a.failure.retry_in_ms >= 3600 * 1000);
        close_client(&a);
        fake_stop(&fake);
}

static void test_the_owner_may_stay_away(void **state) {
        struct client a;
        size_t n_before;
        (void) state;
        open_client(&a, "a");
        n_before = a.n_disconnected; /* while the broker started */
        mqtt_stay_away(a.mqtt, 1);
        assert_false(mqtt_is_connected(a.mqtt));
        LOOP_UNTIL(loop, a.n_connected == 2);
        assert_int_equal(a.n_disconnected, n_before);
        close_client(&a);
}

static void test_a_ping_without_answer(void **state) {
        static const uint8_t bytes[] = { 0x20, 0x06, 0x00, 0x00, 0x03, 0x13, 0x00, 0x01 }; /* server keep alive: 1 s */
        struct fake fake = { .bytes = bytes, .size = sizeof bytes };
        struct mqtt_options options;
        struct client a;
        (void) state;
        fake_start(&fake);
        options = options_of("a");
        open_with(&a, &options);
        LOOP_UNTIL(loop, a.n_connected == 1);
        LOOP_UNTIL(loop, a.n_disconnected == 1);
        assert_string_equal(a.failure.err.name, "broker-silent");
        assert_int_equal(fake.n_seen, 2);
        assert_int_equal(fake.seen[0], 0xc0);
        close_client(&a);
        fake_stop(&fake);
}

/* --- texts --- */

static void test_urls(void **state) {
        static const struct {
                const char *text;
                const char *host; /* NULL: refused */
                uint16_t port;
                bool tls;
        } cases[] = {
                { "mqtts://broker.example", "broker.example", 8883, true },
                { "mqtts://broker.example:1234/", "broker.example", 1234, true },
                { "mqtts://[2001:db8::7]:99", "2001:db8::7", 99, true },
                { "mqtts://192.0.2.7", "192.0.2.7", 8883, true },
                { "mqtt://localhost", "localhost", 1883, false },
                { "mqtt://127.0.0.1:1884", "127.0.0.1", 1884, false },
                { "mqtt://[::1]", "::1", 1883, false },
                { "mqtt://broker.example", NULL, 0, false },
                { "mqtt://192.0.2.7", NULL, 0, false },
                { "mqtt://localhost.example", NULL, 0, false },
                { "https://broker.example", NULL, 0, false },
                { "broker.example", NULL, 0, false },
                { "mqtts://", NULL, 0, false },
                { "mqtts://:8883", NULL, 0, false },
                { "mqtts://[::1", NULL, 0, false },
                { "mqtts://host:0", NULL, 0, false },
                { "mqtts://host:65536", NULL, 0, false },
                { "mqtts://host:8883/path", NULL, 0, false },
                { "mqtts://user@host", NULL, 0, false },
        };
        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct mqtt_url url = { 0 };
                struct gw_error err = { 0 };
                int r = mqtt_url_parse(cases[i].text, &url, &err);
                if ((r == 0) != (cases[i].host != NULL))
                        fail_msg("%s: %d", cases[i].text, r);
                if (r < 0) {
                        assert_string_equal(err.name, "broker-url-invalid");
                        continue;
                }
                assert_string_equal(url.host, cases[i].host);
                assert_int_equal(url.port, cases[i].port);
                assert_int_equal(url.tls, cases[i].tls);
        }
}

static void test_filters(void **state) {
        (void) state;
        assert_true(mqtt_topic_matches("g/v1/+/x", "g/v1/a/x"));
        assert_true(mqtt_topic_matches("g/v1/desired/#", "g/v1/desired/c"));
        assert_false(mqtt_topic_matches("g/v1/+/x", "g/v1/a/b/x"));
}

static void test_options_that_lead_nowhere(void **state) {
        struct mqtt *mqtt = NULL;
        struct mqtt_options options = { .host = "", .port = 1 };
        (void) state;
        assert_int_equal(mqtt_new(loop, &options, &handler, NULL, &mqtt), -EINVAL);
        options = (struct mqtt_options){ .host = "127.0.0.1" };
        assert_int_equal(mqtt_new(loop, &options, &handler, NULL, &mqtt), -EINVAL);
        assert_null(mqtt);
}

#define WITH_BROKER(name) cmocka_unit_test_setup_teardown(name, set_up_broker, tear_down)
#define WITHOUT(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static void remove_folder(void) {
        static const char *const names[] = { "acl", "users", "conf" };
        char path[128];
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                (void) str_format(path, sizeof path, "%s/%s", folder, names[i]);
                unlink(path);
        }
        rmdir(folder);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                WITH_BROKER(test_a_message_with_its_properties),
                WITH_BROKER(test_retained_is_marked_and_cleared),
                WITH_BROKER(test_no_more_in_flight_than_the_broker_takes),
                WITH_BROKER(test_too_large_is_refused_here),
                WITH_BROKER(test_the_acl_refuses),
                WITH_BROKER(test_unsubscribed_hears_nothing),
                WITHOUT(test_a_broker_that_comes_later),
                WITH_BROKER(test_a_session_outlives_the_connection),
                WITH_BROKER(test_a_broker_that_dies),
                WITH_BROKER(test_the_owner_may_stay_away),
                WITHOUT(test_another_with_the_same_id),
                WITH_BROKER(test_a_wrong_password),
                WITH_BROKER(test_the_will),
                WITH_BROKER(test_what_we_say_ourselves),
                WITH_BROKER(test_freed_from_inside),
                WITHOUT(test_a_black_hole),
                WITHOUT(test_a_name_that_does_not_exist),
                WITHOUT(test_nonsense),
                WITHOUT(test_a_ping_without_answer),
                WITHOUT(test_urls),
                WITHOUT(test_filters),
                WITHOUT(test_options_that_lead_nowhere),
        };
        int r;
        if (!mkdtemp(folder))
                return 1;
        r = cmocka_run_group_tests(tests, NULL, NULL);
        remove_folder();
        return r;
}
