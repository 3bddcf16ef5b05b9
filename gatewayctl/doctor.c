/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <limits.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "loop/process.h"

/*
 * What is wrong with the gateway, and what to do about it. The running daemon makes the checks itself, since only it sees its own
 * rights; without one the daemon's program makes them, as the daemon's user where we may become that.
 */

#define DAEMON_NAME "gatewayd"
#define DAEMON_USER "gatewayd"
#define RUNUSER "/usr/sbin/runuser"
#define SAID_MAX 4096 /* bytes kept of what the program says on standard error */

/* --- the program --- */

static bool is_program(const char *folder, size_t folder_size, const char *below, char ret_path[static PATH_MAX]) {
        char path[PATH_MAX];

        if (folder_size == 0 || str_format(path, sizeof path, "%.*s/%s", (int) folder_size, folder, below) < 0 || access(path, X_OK) < 0)
                return false;
        return realpath(path, ret_path);
}

/* Beside this program, where both were built or installed; then where programs are. */
static bool find_daemon(char ret_path[static PATH_MAX]) {
        static const char *const beside[] = { DAEMON_NAME, "../sbin/" DAEMON_NAME, "../" DAEMON_NAME "/" DAEMON_NAME };
        static const char *const folders[] = { "/usr/local/sbin", "/usr/sbin", "/sbin" };
        const char *path = getenv("PATH");
        char self[PATH_MAX];
        ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

        self[n > 0 ? n : 0] = '\0';
        for (size_t i = 0; i < ARRAY_SIZE(beside) && strrchr(self, '/'); i++)
                if (is_program(self, (size_t) (strrchr(self, '/') - self), beside[i], ret_path))
                        return true;
        for (const char *at = path ? path : ""; *at; at += strcspn(at, ":") + (at[strcspn(at, ":")] == ':'))
                if (*at == '/' && is_program(at, strcspn(at, ":"), DAEMON_NAME, ret_path))
                        return true;
        for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
                if (is_program(folders[i], strlen(folders[i]), DAEMON_NAME, ret_path))
                        return true;
        return false;
}

/* --- running it --- */

struct examination {
        struct strbuf output, said;
        bool exited;
        int status, term_signal;
};

static void on_output(void *ctx, const uint8_t *data, size_t size) {
        strbuf_append_n(&((struct examination *) ctx)->output, (const char *) data, size);
}

static void on_diagnostics(void *ctx, const uint8_t *data, size_t size) {
        strbuf_append_n(&((struct examination *) ctx)->said, (const char *) data, size);
}

static void on_exited(void *ctx, int status, int term_signal, bool overflow) {
        struct examination *examination = ctx;

        (void) overflow;
        examination->exited = true;
        examination->status = status;
        examination->term_signal = term_signal;
}

static int start(struct session *session, const char *const *argv, struct examination *examination, struct failure *failure) {
        static const struct gw_process_handler handler = { .output = on_output, .diagnostics = on_diagnostics, .exited = on_exited };
        const struct gw_process_options options = {
                .size = sizeof options,
                .argv = argv,
                .environment = (const char *const *) environ,
                .directory = "/",
                .output_max = JSON_SIZE_MAX,
                .keep_fd = -1,
        };
        struct process *process;
        struct gw_error err = { 0 };
        int r = session->loop ? 0 : loop_new(&session->loop);

        if (r == 0)
                r = process_start(session->loop, &options, &handler, examination, &process, &err);
        if (r < 0)
                return gw_error_is_set(&err) ? failure_from(failure, &err) : failure_errno(failure, r);
        while (!examination->exited)
                loop_run_once(session->loop);
        return 0;
}

static int read_findings(const struct examination *examination, const char *program, struct json **ret_result, struct failure *failure) {
        if (examination->output.error == 0 && examination->status == 0 &&
            json_parse(strbuf_text(&examination->output), examination->output.size, 0, ret_result, NULL) == 0)
                return 0;
        if (examination->term_signal)
                return failure_set(failure, EXIT_CODE_INTERNAL, "internal-error", "%s --diagnose was ended by signal %d", program,
                                   examination->term_signal);
        return failure_set(failure, EXIT_CODE_REFUSED, examination->status == 78 ? "config-invalid" : "internal-error",
                           "%s --diagnose ended with %d: %.300s", program, examination->status, strbuf_text(&examination->said));
}

/* The daemon's own user sees its own rights; only root can become it. */
static bool becomes_daemon_user(void) {
        return geteuid() == 0 && getpwnam(DAEMON_USER) && access(RUNUSER, X_OK) == 0;
}

static int run_daemon(struct session *session, struct json **ret_result, struct failure *failure) {
        struct examination examination = { .output = STRBUF_INIT(JSON_SIZE_MAX), .said = STRBUF_INIT(SAID_MAX) };
        const char *config = arguments_text(session->arguments, "config"), *argv[10];
        char program[PATH_MAX];
        size_t n = 0;
        int r;

        if (!find_daemon(program))
                return failure_set(failure, EXIT_CODE_NO_DAEMON, "daemon-not-running",
                                   "no daemon answers, and its program " DAEMON_NAME " is neither beside gatewayctl nor in PATH");
        if (becomes_daemon_user()) {
                argv[n++] = RUNUSER;
                argv[n++] = "-u";
                argv[n++] = DAEMON_USER;
                argv[n++] = "--";
        }
        argv[n++] = program;
        argv[n++] = "--diagnose";
        if (config) {
                argv[n++] = "--config";
                argv[n++] = config;
        }
        argv[n] = NULL;
        r = start(session, argv, &examination, failure);
        if (r == 0)
                r = read_findings(&examination, program, ret_result, failure);
        strbuf_deinit(&examination.output);
        strbuf_deinit(&examination.said);
        return r;
}

/* --- findings --- */

static int add_finding(struct json *findings, const char *check, const char *level, const char *text, const char *remedy) {
        struct json *finding = json_append_new_object(findings);
        int r = finding ? json_set_string(finding, "check", check) : -ENOMEM;

        if (r == 0)
                r = json_set_string(finding, "level", level);
        if (r == 0)
                r = json_set_string(finding, "text", text);
        return r < 0 ? r : json_set_string(finding, "remedy", remedy);
}

static int add_problems(const struct json *health, struct json *findings) {
        bool failing = str_equal(json_member_text(health, "status"), "failing");
        int r = 0;

        JSON_FOREACH_ITEM(i, problem, json_child(health, "problems")) {
                const char *name = json_member_text(problem, "name"), *text = json_member_text(problem, "text");
                if (r == 0)
                        r = add_finding(findings, name ? name : "health", failing ? "error" : "warning", text ? text : "",
                                        json_member_text(problem, "advice"));
        }
        return r;
}

static int ask_daemon(struct session *session, struct json **ret_result, struct failure *failure) {
        _cleanup_json_ struct json *result = NULL, *health = NULL;
        struct json *findings;
        int r = session_call_patient(session, "gateway.diagnose", NULL, &result, failure);

        if (r == 0)
                r = session_call(session, "gateway.health", NULL, &health, failure);
        if (r < 0)
                return r;
        findings = json_child(result, "findings");
        r = findings ? add_problems(health, findings) : 0;
        if (r < 0)
                return failure_errno(failure, r);
        *ret_result = TAKE_PTR(result);
        return 0;
}

static int ask_program(struct session *session, const struct failure *why, struct json **ret_result, struct failure *failure) {
        _cleanup_json_ struct json *result = NULL, *findings = json_new_array();
        int r = findings ? run_daemon(session, &result, failure) : failure_errno(failure, -ENOMEM);

        if (r < 0)
                return r;
        r = add_finding(findings, "daemon", "error", why->err.text, why->advice);
        if (r == 0 && geteuid() != 0)
                r = add_finding(findings, "rights", "warning", "the checks below ran with your rights, not with those of the daemon's user",
                                "Run it as root to see what the daemon's user may do.");
        JSON_FOREACH_ITEM(i, finding, json_child(result, "findings"))
        if (r == 0)
                r = json_append(findings, json_ref(finding));
        if (r == 0)
                r = json_set(result, "findings", json_ref(findings));
        if (r < 0)
                return failure_errno(failure, r);
        *ret_result = TAKE_PTR(result);
        return 0;
}

/* --- printing --- */

static enum tone tone_of(const char *level) {
        if (str_equal(level, "error"))
                return TONE_BAD;
        return str_equal(level, "warning") ? TONE_CARE : TONE_GOOD;
}

static void labelled(struct strbuf *out, size_t indent, const char *text, const struct style *style) {
        _cleanup_free_ char *clean = text_clean(text);

        text_append_wrapped(out, clean ? clean : "", indent, style);
}

/* Like a table, but with room for texts that take lines: check, level, text, and the remedy beneath. */
static void render_finding(const struct json *finding, size_t check_columns, const struct style *style, struct strbuf *out) {
        const char *check = json_member_text(finding, "check"), *level = json_member_text(finding, "level"),
                   *text = json_member_text(finding, "text");
        const char *remedy = json_member_text(finding, "remedy");
        size_t indent = check_columns + 2 + 9;

        strbuf_append(out, check ? check : "");
        text_append_blanks(out, check_columns + 2 - text_columns(check ? check : ""));
        text_append_toned(out, level ? level : "", tone_of(level), style);
        text_append_blanks(out, level && strlen(level) < 9 ? 9 - strlen(level) : 1);
        labelled(out, indent, text ? text : "", style);
        if (!remedy || str_equal(level, "ok"))
                return;
        text_append_blanks(out, indent);
        text_append_toned(out, "Remedy: ", TONE_STRONG, style);
        labelled(out, indent + 8, remedy, style);
}

static void render_findings(const struct json *findings, const struct style *style, struct strbuf *out) {
        size_t columns = 0;

        JSON_FOREACH_ITEM(i, finding, findings) {
                const char *check = json_member_text(finding, "check");
                size_t width = check ? text_columns(check) : 0;
                columns = MAX(columns, width);
        }
        JSON_FOREACH_ITEM(i, finding, findings)
        render_finding(finding, columns, style, out);
}

static size_t count_level(const struct json *findings, const char *level) {
        size_t n = 0;

        JSON_FOREACH_ITEM(i, finding, findings)
        n += str_equal(json_member_text(finding, "level"), level);
        return n;
}

static int show_findings(struct session *session, const struct json *result, struct strbuf *out) {
        const struct json *findings = json_child(result, "findings");

        render_findings(findings, &session->style, out);
        strbuf_appendf(out, "\n%zu checks, %zu warnings, %zu errors.\n", json_length(findings), count_level(findings, "warning"),
                       count_level(findings, "error"));
        return count_level(findings, "error") > 0 ? EXIT_CODE_FINDINGS : EXIT_CODE_OK;
}

int run_doctor(struct session *session, struct failure *failure) {
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT(TEXT_LIMIT);
        _cleanup_json_ struct json *result = NULL;
        int r = session_connect(session, failure), exit_code;

        if (r == 0 && session_is_remote(session))
                return session_each(session, &(struct session_question){ .method = "gateway.diagnose", .patient = true }, show_findings,
                                    failure);
        if (r < 0 && !session_is_remote(session) && failure->exit_code == EXIT_CODE_NO_DAEMON) {
                struct failure why = *failure;
                memset(failure, 0, sizeof *failure);
                r = ask_program(session, &why, &result, failure);
        } else if (r == 0) {
                r = ask_daemon(session, &result, failure);
        }
        if (r < 0)
                return r;
        exit_code = show_findings(session, result, &out);
        r = session->json ? session_print_json(session, result, failure) : session_print(session, &out, failure);
        return r < 0 ? r : exit_code;
}
