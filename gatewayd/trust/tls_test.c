/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/tls.h"

#include <dirent.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <setjmp.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/str.h"
#include "base/time.h"
#include "loop/loop.h"
#include "trust/tls_internal.h"

#define DAY_S (24 * 60 * 60)

/* ---- certificates, made on the spot */

struct identity {
        EVP_PKEY *key;
        X509 *certificate;
};

struct wish {
        const char *name;     /* common name */
        const char *for_whom; /* subjectAltName; NULL = an authority */
        long from_days, to_days;
};

static void add_extension(X509 *certificate, X509 *issuer, int nid, const char *value) {
        X509V3_CTX ctx;
        X509_EXTENSION *extension;

        X509V3_set_ctx(&ctx, issuer, certificate, NULL, NULL, 0);
        extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
        assert_non_null(extension);
        assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
        X509_EXTENSION_free(extension);
}

static struct identity identity_new(const struct identity *issuer, struct wish wish) {
        struct identity made = { .key = EVP_EC_gen("P-256"), .certificate = X509_new() };
        static long serial = 1;
        X509 *issuing = issuer ? issuer->certificate : made.certificate;

        X509_set_version(made.certificate, X509_VERSION_3);
        ASN1_INTEGER_set(X509_get_serialNumber(made.certificate), serial++);
        X509_NAME_add_entry_by_txt(X509_get_subject_name(made.certificate), "CN", MBSTRING_UTF8, (const uint8_t *) wish.name, -1, -1, 0);
        X509_gmtime_adj(X509_getm_notBefore(made.certificate), wish.from_days * DAY_S);
        X509_gmtime_adj(X509_getm_notAfter(made.certificate), wish.to_days * DAY_S);
        X509_set_pubkey(made.certificate, made.key);
        X509_set_issuer_name(made.certificate, X509_get_subject_name(issuing));
        if (wish.for_whom)
                add_extension(made.certificate, issuing, NID_subject_alt_name, wish.for_whom);
        else
                add_extension(made.certificate, issuing, NID_basic_constraints, "critical,CA:TRUE");
        assert_true(X509_sign(made.certificate, issuer ? issuer->key : made.key, EVP_sha256()) > 0);
        return made;
}

static void identity_free(struct identity *identity) {
        EVP_PKEY_free(identity->key);
        X509_free(identity->certificate);
}

struct fixture {
        char folder[64];
        char ca_file[96], crl_file[96], client_file[96];
        struct identity ca, other_ca, good, client;
        struct loop *loop;
        struct tls *tls;
};

static FILE *create(const char *path) {
        FILE *file = fopen(path, "w");

        assert_non_null(file);
        return file;
}

static void write_certificate(const char *path, const struct identity *identity, bool with_key) {
        _cleanup_fclose_ FILE *file = create(path);

        assert_int_equal(PEM_write_X509(file, identity->certificate), 1);
        if (with_key)
                assert_int_equal(PEM_write_PrivateKey(file, identity->key, NULL, NULL, 0, NULL, NULL), 1);
}

/* The authority and its list, which names `revoked`; next_days: until when the list holds. */
static void write_crl(const struct fixture *fixture, const struct identity *revoked, long next_days) {
        _cleanup_fclose_ FILE *file = create(fixture->crl_file);
        X509_CRL *crl = X509_CRL_new();
        X509_REVOKED *entry = X509_REVOKED_new();
        ASN1_TIME *before = X509_gmtime_adj(NULL, -30 * DAY_S), *next = X509_gmtime_adj(NULL, next_days * DAY_S);

        X509_CRL_set_version(crl, X509_CRL_VERSION_2);
        X509_CRL_set_issuer_name(crl, X509_get_subject_name(fixture->ca.certificate));
        X509_CRL_set1_lastUpdate(crl, before);
        X509_CRL_set1_nextUpdate(crl, next);
        X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(revoked->certificate));
        X509_REVOKED_set_revocationDate(entry, before);
        assert_int_equal(X509_CRL_add0_revoked(crl, entry), 1);
        assert_true(X509_CRL_sign(crl, fixture->ca.key, EVP_sha256()) > 0);
        assert_int_equal(PEM_write_X509(file, fixture->ca.certificate), 1);
        assert_int_equal(PEM_write_X509(file, fixture->other_ca.certificate), 1);
        assert_int_equal(PEM_write_X509_CRL(file, crl), 1);
        X509_CRL_free(crl);
        ASN1_TIME_free(before);
        ASN1_TIME_free(next);
}

static int setup(void **state) {
        struct fixture *fixture = calloc(1, sizeof *fixture);

        strcpy(fixture->folder, "/tmp/gw_tls_XXXXXX");
        assert_non_null(mkdtemp(fixture->folder));
        snprintf(fixture->ca_file, sizeof fixture->ca_file, "%s/ca.pem", fixture->folder);
        snprintf(fixture->crl_file, sizeof fixture->crl_file, "%s/crl.pem", fixture->folder);
        snprintf(fixture->client_file, sizeof fixture->client_file, "%s/client.pem", fixture->folder);
        fixture->ca = identity_new(NULL, (struct wish){ "ca", NULL, -100, 100 });
        fixture->other_ca = identity_new(NULL, (struct wish){ "other ca", NULL, -100, 100 });
        fixture->good = identity_new(&fixture->ca, (struct wish){ "good", "DNS:good.example,IP:127.0.0.1,IP:::1", -1, 30 });
        fixture->client = identity_new(&fixture->ca, (struct wish){ "client", "DNS:client", -1, 9 });
        write_certificate(fixture->ca_file, &fixture->ca, false);
        write_certificate(fixture->client_file, &fixture->client, true);
        assert_int_equal(loop_new(&fixture->loop), 0);
        assert_int_equal(tls_new(fixture->loop, &fixture->tls), 0);
        *state = fixture;
        return 0;
}

static int teardown(void **state) {
        struct fixture *fixture = *state;

        tls_free(fixture->tls);
        loop_free(fixture->loop);
        identity_free(&fixture->ca);
        identity_free(&fixture->other_ca);
        identity_free(&fixture->good);
        identity_free(&fixture->client);
        unlink(fixture->ca_file);
        unlink(fixture->crl_file);
        unlink(fixture->client_file);
        assert_int_equal(rmdir(fixture->folder), 0);
        free(fixture);
        return 0;
}

/* ---- a handshake in memory */

static SSL *server_new(const struct fixture *fixture, const struct identity *server, bool asks_for_certificate) {
        SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
        SSL *ssl;

        assert_int_equal(SSL_CTX_use_certificate(ctx, server->certificate), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey(ctx, server->key), 1);
        if (asks_for_certificate) {
                assert_int_equal(SSL_CTX_load_verify_file(ctx, fixture->ca_file), 1);
                SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
        }
        ssl = SSL_new(ctx);
        SSL_CTX_free(ctx);
        return ssl;
}

/* true: both are through, and a byte of the server arrived. */
static bool shake_hands(struct tls_context *context, SSL *server) {
        SSL *client = SSL_new(tls_context_ssl_ctx(context));
        BIO *to_server, *to_client;
        char byte = 0;

        assert_int_equal(BIO_new_bio_pair(&to_server, 0, &to_client, 0), 1);
        SSL_set_bio(client, to_server, to_server);
        SSL_set_bio(server, to_client, to_client);
        SSL_set_connect_state(client);
        SSL_set_accept_state(server);
        for (int i = 0; i < 20; i++) {
                SSL_do_handshake(client);
                if (SSL_do_handshake(server) == 1)
                        SSL_write(server, "x", 1);
                if (SSL_is_init_finished(client) && SSL_read(client, &byte, 1) == 1)
                        break;
        }
        SSL_free(client);
        SSL_free(server);
        return byte == 'x';
}

static struct tls_context *context_for(const struct fixture *fixture, struct tls_options options) {
        struct tls_context *context = NULL;
        struct gw_error err = { 0 };

        if (!options.use)
                options.use = "test";
        if (!options.ca_file)
                options.ca_file = fixture->ca_file;
        if (!options.host)
                options.host = "good.example";
        options.port = 8883;
        if (tls_context_new(fixture->tls, &options, &context, &err) < 0)
                fail_msg("%s: %s", err.name, err.text);
        return context;
}

static void assert_refused(struct tls_context *context, SSL *server, const char *name, const char *text) {
        struct gw_error err = { 0 };

        assert_false(shake_hands(context, server));
        assert_true(tls_context_failure(context, &err));
        assert_string_equal(err.name, name);
        if (!strstr(err.text, text))
                fail_msg("no \"%s\" in: %s", text, err.text);
}

static void assert_accepted(struct tls_context *context, SSL *server) {
        struct gw_error err = { 0 };

        assert_true(shake_hands(context, server));
        assert_false(tls_context_failure(context, &err));
}

/* ---- the tests */

static void test_a_good_server(void **state) {
        const char *const hosts[] = { "good.example", "127.0.0.1", "::1" };
        struct fixture *fixture = *state;

        for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
                _cleanup_tls_context_ struct tls_context *context = context_for(fixture, (struct tls_options){ .host = hosts[i] });

                assert_accepted(context, server_new(fixture, &fixture->good, false));
        }
}

static void test_every_refusal_has_its_name(void **state) {
        static const struct {
                struct wish wish;
                bool is_others; /* issued by the authority that is not trusted */
                const char *host, *name, *text;
        } cases[] = {
                { { "old", "DNS:good.example", -30, -2 }, false, NULL, "peer-certificate-expired", "CN=old expired at 20" },
                { { "new", "DNS:good.example", 3, 30 }, false, NULL, "peer-certificate-not-yet-valid", "CN=new is valid from 20" },
                { { "far", "DNS:a.example,DNS:b.example,IP:10.1.2.3", -1, 30 },
                  false,
                  NULL,
                  "peer-certificate-wrong-host",
                  "for a.example, b.example, 10.1.2.3" },
                { { "far", "DNS:good.example", -1, 30 }, false, "127.0.0.1", "peer-certificate-wrong-host", "for good.example" },
                { { "far", "DNS:*.example", -1, 30 }, false, "a.good.example", "peer-certificate-wrong-host", "for *.example" },
                { { "his", "DNS:good.example", -1, 30 }, true, NULL, "peer-certificate-untrusted", "CN=his" },
                { { "ca", NULL, -1, 30 }, true, NULL, "peer-certificate-untrusted", "CN=ca" },
        };
        struct fixture *fixture = *state;

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_tls_context_ struct tls_context *context = context_for(fixture, (struct tls_options){ .host = cases[i].host });
                struct identity server = identity_new(cases[i].is_others ? &fixture->other_ca : &fixture->ca, cases[i].wish);

                assert_refused(context, server_new(fixture, &server, false), cases[i].name, cases[i].text);
                identity_free(&server);
        }
}

static void test_what_the_authority_revoked(void **state) {
        struct fixture *fixture = *state;
        struct tls_context *context;
        struct identity elsewhere = identity_new(&fixture->other_ca, (struct wish){ "x", "DNS:good.example", -1, 30 });

        write_crl(fixture, &fixture->good, 30);
        context = context_for(fixture, (struct tls_options){ .ca_file = fixture->crl_file });
        assert_refused(context, server_new(fixture, &fixture->good, false), "peer-certificate-revoked", "CN=good");
        tls_context_free(context);
        /* The other authority of the file publishes no list. */
        context = context_for(fixture, (struct tls_options){ .ca_file = fixture->crl_file });
        assert_accepted(context, server_new(fixture, &elsewhere, false));
        tls_context_free(context);
        /* Another one is revoked: the list was read anew. */
        write_crl(fixture, &fixture->client, 30);
        context = context_for(fixture, (struct tls_options){ .ca_file = fixture->crl_file });
        assert_accepted(context, server_new(fixture, &fixture->good, false));
        tls_context_free(context);
        /* A list that is too old says nothing, and so does the gateway not trust. */
        write_crl(fixture, &fixture->client, -1);
        context = context_for(fixture, (struct tls_options){ .ca_file = fixture->crl_file });
        assert_refused(context, server_new(fixture, &fixture->good, false), "peer-certificate-invalid", "CRL has expired");
        tls_context_free(context);
        identity_free(&elsewhere);
}

static void test_a_server_that_wants_to_know_us(void **state) {
        struct fixture *fixture = *state;
        struct tls_context *context = context_for(fixture, (struct tls_options){ 0 });

        assert_refused(context, server_new(fixture, &fixture->good, true), "client-certificate-refused", "certificate required");
        tls_context_free(context);
        context = context_for(fixture, (struct tls_options){ .client_certificate = fixture->client_file });
        assert_accepted(context, server_new(fixture, &fixture->good, true));
        tls_context_free(context);
}

static void test_no_common_version(void **state) {
        struct fixture *fixture = *state;
        _cleanup_tls_context_ struct tls_context *context = context_for(fixture, (struct tls_options){ 0 });
        SSL *server = server_new(fixture, &fixture->good, false);

        SSL_set_max_proto_version(server, TLS1_1_VERSION);
        assert_refused(context, server, "tls-handshake-failed", "protocol version");
}

static void test_files_that_cannot_be_used(void **state) {
        struct fixture *fixture = *state;
        const struct {
                struct tls_options options;
                const char *name;
        } cases[] = {
                { { .ca_file = "/nowhere/ca.pem" }, "ca-unreadable" },
                { { .ca_file = "/dev/null" }, "ca-unreadable" },
                { { .ca_file = fixture->ca_file, .client_certificate = "/nowhere/client.pem" }, "credentials-unreadable" },
                { { .ca_file = fixture->ca_file, .client_certificate = fixture->client_file, .client_key = fixture->ca_file },
                  "credentials-unreadable" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct tls_options options = cases[i].options;
                struct tls_context *context = NULL;
                struct gw_error err = { 0 };

                options.use = "test";
                options.host = "good.example";
                assert_true(tls_context_new(fixture->tls, &options, &context, &err) < 0);
                assert_null(context);
                assert_string_equal(err.name, cases[i].name);
                assert_true(err.text[0]);
        }
}

static X509_STORE *store_of(struct tls_context *context) {
        return SSL_CTX_get_cert_store(tls_context_ssl_ctx(context));
}

static void test_a_file_is_read_once_and_again_when_it_changed(void **state) {
        struct fixture *fixture = *state;
        struct tls_context *first = context_for(fixture, (struct tls_options){ 0 });
        struct tls_context *second = context_for(fixture, (struct tls_options){ .host = "127.0.0.1" });
        struct tls_context *third;
        struct identity his = identity_new(&fixture->other_ca, (struct wish){ "his", "DNS:good.example", -1, 30 });

        assert_ptr_equal(store_of(first), store_of(second));
        unlink(fixture->ca_file);
        write_certificate(fixture->ca_file, &fixture->other_ca, false);
        third = context_for(fixture, (struct tls_options){ 0 });
        assert_ptr_not_equal(store_of(first), store_of(third));
        assert_accepted(third, server_new(fixture, &his, false));
        assert_accepted(first, server_new(fixture, &fixture->good, false));
        identity_free(&his);
        tls_context_free(third);
        tls_context_free(second);
        /* What a client still holds stays, and after it nothing does. */
        SSL_CTX_up_ref(tls_context_ssl_ctx(first));
        SSL_CTX *held = tls_context_ssl_ctx(first);
        tls_context_free(first);
        assert_int_equal(list_count(&fixture->tls->authorities), 1);
        SSL_CTX_free(held);
        assert_true(list_is_empty(&fixture->tls->authorities));
}

static void test_a_context_outlives_the_object(void **state) {
        struct fixture *fixture = *state;
        struct tls_context *context = context_for(fixture, (struct tls_options){ 0 });

        tls_free(TAKE_PTR(fixture->tls));
        assert_accepted(context, server_new(fixture, &fixture->good, false));
        tls_context_free(context);
}

/* ---- the list */

struct listed {
        struct tls_certificate_row rows[TLS_CERTIFICATES_MAX];
        size_t n;
};

static void on_listed(void *ctx, const struct tls_certificate *certificate) {
        struct listed *listed = ctx;
        struct tls_certificate_row *row = &listed->rows[listed->n++];

        row->is_ours = certificate->is_ours;
        row->not_after_ms = certificate->not_after_ms;
        row->error = certificate->error;
        strcpy(row->use, certificate->use);
        strcpy(row->peer, certificate->peer);
}

static void assert_listed(const struct tls_certificate_row *row, const char *use, const char *peer, const char *error, int64_t days_left) {
        assert_string_equal(row->use, use);
        assert_string_equal(row->peer, peer);
        if (error)
                assert_string_equal(row->error, error);
        else
                assert_null(row->error);
        assert_int_equal(tls_days_left(row->not_after_ms, time_now_wall_ms()), days_left);
}

static void test_the_list_of_certificates(void **state) {
        struct fixture *fixture = *state;
        struct identity old = identity_new(&fixture->ca, (struct wish){ "old", "DNS:good.example", -30, -2 });
        struct listed listed = { .n = 0 };

        for (int i = 0; i < 2; i++) {
                struct tls_context *context = context_for(fixture, (struct tls_options){ .use = "mqtt", .client_certificate = fixture->client_file });

                assert_accepted(context, server_new(fixture, &fixture->good, true));
                tls_context_free(context);
                context = context_for(fixture, (struct tls_options){ .use = "https" });
                assert_refused(context, server_new(fixture, &old, false), "peer-certificate-expired", "CN=old");
                tls_context_free(context);
        }
        tls_certificates_each(fixture->tls, on_listed, &listed);
        assert_int_equal(listed.n, 3);
        assert_listed(&listed.rows[0], "https", "good.example:8883", "peer-certificate-expired", -3);
        assert_listed(&listed.rows[1], "mqtt", "good.example:8883", NULL, 29);
        assert_listed(&listed.rows[2], "mqtt", fixture->client_file, NULL, 8);
        assert_true(listed.rows[2].is_ours && !listed.rows[1].is_ours);
        identity_free(&old);
}

static void test_the_list_keeps_what_was_used_last(void **state) {
        struct fixture *fixture = *state;
        struct tls_certificate_row row = { .use = "artifacts" };
        struct listed listed = { .n = 0 };

        for (int i = 0; i < TLS_CERTIFICATES_MAX + 5; i++) {
                snprintf(row.peer, sizeof row.peer, "server-%d:443", i);
                tls_certificates_note(fixture->tls, &row);
        }
        strcpy(row.peer, "server-10:443");
        tls_certificates_note(fixture->tls, &row);
        tls_certificates_each(fixture->tls, on_listed, &listed);
        assert_int_equal(listed.n, TLS_CERTIFICATES_MAX);
        assert_string_equal(listed.rows[0].peer, "server-10:443");
        assert_string_equal(listed.rows[1].peer, "server-36:443");
        assert_string_equal(listed.rows[TLS_CERTIFICATES_MAX - 1].peer, "server-5:443");
}

static void test_our_own_out_of_files(void **state) {
        struct fixture *fixture = *state;
        const struct tls_own_file files[] = { { "https", fixture->client_file }, { "mqtt", "/nowhere/client.pem" } };
        struct listed listed = { .n = 0 };

        tls_certificates_note(fixture->tls, &(struct tls_certificate_row){ .use = "old", .peer = "/old.pem", .is_ours = true });
        tls_certificates_note(fixture->tls, &(struct tls_certificate_row){ .use = "https", .peer = "server:443" });
        assert_int_equal(tls_read_own(fixture->tls, files, ARRAY_SIZE(files)), 0);
        loop_run(fixture->loop);
        tls_certificates_each(fixture->tls, on_listed, &listed);
        assert_int_equal(listed.n, 3);
        assert_string_equal(listed.rows[0].peer, "server:443");
        assert_listed(&listed.rows[1], "https", fixture->client_file, NULL, 8);
        assert_string_equal(listed.rows[2].error, "credentials-unreadable");
}

static void test_days_left(void **state) {
        (void) state;
        assert_int_equal(tls_days_left(86400000, 0), 1);
        assert_int_equal(tls_days_left(86399999, 0), 0);
        assert_int_equal(tls_days_left(0, 0), 0);
        assert_int_equal(tls_days_left(0, 1), -1);
        assert_int_equal(tls_days_left(0, 86400000), -1);
        assert_int_equal(tls_days_left(0, 86400001), -2);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_a_good_server, setup, teardown),
                cmocka_unit_test_setup_teardown(test_every_refusal_has_its_name, setup, teardown),
                cmocka_unit_test_setup_teardown(test_what_the_authority_revoked, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_server_that_wants_to_know_us, setup, teardown),
                cmocka_unit_test_setup_teardown(test_no_common_version, setup, teardown),
                cmocka_unit_test_setup_teardown(test_files_that_cannot_be_used, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_file_is_read_once_and_again_when_it_changed, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_context_outlives_the_object, setup, teardown),
                cmocka_unit_test_setup_teardown(test_the_list_of_certificates, setup, teardown),
                cmocka_unit_test_setup_teardown(test_the_list_keeps_what_was_used_last, setup, teardown),
                cmocka_unit_test_setup_teardown(test_our_own_out_of_files, setup, teardown),
                cmocka_unit_test(test_days_left),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
