/* SPDX-License-Identifier: Apache-2.0 */

/*
 * gatewayctl: the command-line client of gatewayd. Reads the command line against the table of commands (verbs.c), runs one of them,
 * and prints what went wrong.
 */

#include <stdio.h>
#include <stdlib.h>

#include "commands.h"

static void print_text(const struct strbuf *out, FILE *stream) {
        fputs(strbuf_text(out), stream);
        fflush(stream);
}

static int print_help(struct session *session, FILE *stream) {
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT(TEXT_LIMIT);
        const struct arguments *arguments = session->arguments;

        if (help_render(arguments->verb, arguments->group, &session->style, &out) < 0)
                return EXIT_CODE_INTERNAL;
        print_text(&out, stream);
        return EXIT_CODE_OK;
}

static int print_failure(struct session *session, const struct failure *failure) {
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT(TEXT_LIMIT);
        struct style style = session->style;
        _cleanup_free_ char *text = NULL;
        _cleanup_json_ struct json *json = NULL;

        /* What goes to stderr may end in a file while stdout is a terminal. */
        style.colour = style.colour && isatty(STDERR_FILENO);
        /* One line, so that it also ends a stream of lines. */
        if (session->json && failure_json(failure, &json) == 0 && json_write(json, &text, NULL) == 0)
                puts(text);
        else if (failure_render(failure, &style, &out) == 0)
                print_text(&out, stderr);
        fflush(stdout);
        return failure->exit_code;
}

static int dispatch(struct session *session, struct failure *failure) {
        const struct arguments *arguments = session->arguments;

        if (arguments->version) {
                printf("gatewayctl %s\n", GW_VERSION);
                return EXIT_CODE_OK;
        }
        if (arguments->help)
                return print_help(session, stdout);
        if (!arguments->verb) {
                print_help(session, stderr);
                return EXIT_CODE_USAGE;
        }
        return arguments->verb->run(session, failure);
}

int main(int argc, char **argv) {
        _cleanup_arguments_ struct arguments arguments = { 0 };
        struct failure failure = { 0 };
        struct session session;
        int r = arguments_parse(verbs, argc, argv, &arguments, &failure);

        session_init(&session, &arguments);
        if (r == 0)
                r = dispatch(&session, &failure);
        if (r >= 0)
                r = session_finish(&session, r, &failure);
        if (r < 0)
                r = print_failure(&session, &failure);
        session_deinit(&session);
        failure_deinit(&failure);
        return r;
}
