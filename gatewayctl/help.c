/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <string.h>

#define SUMMARY_COLUMN 24
#define OPTION_COLUMN 26
#define HELP_COLUMNS_MAX 100

/* One entry of a list: the left side, the text behind a column, or on the next line where the left side is too long. */
static void entry(struct strbuf *out, const char *left, const char *text, size_t column, const struct style *style) {
        size_t used = text_columns(left) + 2;

        strbuf_append(out, "  ");
        text_append_toned(out, left, TONE_STRONG, style);
        if (used + 2 > column) {
                strbuf_append_char(out, '\n');
                used = 0;
        }
        text_append_blanks(out, column - used);
        text_append_wrapped(out, text, column, style);
}

static void heading(struct strbuf *out, const char *text, const struct style *style) {
        strbuf_append_char(out, '\n');
        text_append_toned(out, text, TONE_STRONG, style);
        strbuf_append_char(out, '\n');
}

static void render_options(struct strbuf *out, const struct option_info *options, const struct style *style) {
        for (; options && options->name; options++) {
                _cleanup_strbuf_ struct strbuf text = STRBUF_INIT(TEXT_LIMIT);
                char left[96];
                str_format(left, sizeof left, "--%s%s%s", options->name, options->value ? " " : "", options->value ? options->value : "");
                if (options->letter)
                        str_format(left, sizeof left, "-%c, --%s", options->letter, options->name);
                strbuf_append(&text, options->text);
                if (options->kind == VALUE_CHOICE)
                        strbuf_appendf(&text, " One of %s.", options->choices);
                if (options->repeated)
                        strbuf_append(&text, " May be repeated.");
                entry(out, left, strbuf_text(&text), OPTION_COLUMN, style);
        }
}

/* Lines that begin with a blank are examples and stay as they are; others are one paragraph until the next empty line. */
static void render_details(struct strbuf *out, const char *details, const struct style *style) {
        _cleanup_strbuf_ struct strbuf paragraph = STRBUF_INIT(TEXT_LIMIT);

        for (bool more = true; more;) {
                size_t size = strcspn(details, "\n");
                bool plain = size > 0 && details[0] != ' ';
                if (plain)
                        strbuf_appendf(&paragraph, "%s%.*s", paragraph.size ? " " : "", (int) size, details);
                more = details[size] == '\n';
                if (paragraph.size > 0 && (!plain || !more)) {
                        text_append_wrapped(out, strbuf_text(&paragraph), 0, style);
                        strbuf_reset(&paragraph);
                }
                if (!plain)
                        strbuf_appendf(out, "%.*s\n", (int) size, details);
                details += size + more;
        }
}

/* Their names only: `gatewayctl --help` explains them once for all commands. */
static void mention_broker_options(struct strbuf *out, const struct style *style) {
        _cleanup_strbuf_ struct strbuf line = STRBUF_INIT(TEXT_LIMIT);

        strbuf_append(&line, "For gateways behind a broker (`gatewayctl --help` explains these):");
        for (const struct option_info *option = broker_common_options; option->name; option++)
                strbuf_appendf(&line, " --%s", option->name);
        strbuf_append_char(out, '\n');
        text_append_wrapped(out, strbuf_text(&line), 0, style);
}

static void render_verb(struct strbuf *out, const struct verb *verb, const struct style *style) {
        strbuf_appendf(out, "gatewayctl %s%s%s\n\n", verb->words, verb->synopsis[0] ? " " : "", verb->synopsis);
        text_append_wrapped(out, verb->summary, 0, style);
        if (verb->details) {
                strbuf_append_char(out, '\n');
                render_details(out, verb->details, style);
        }
        if (verb->options) {
                heading(out, "Options", style);
                render_options(out, verb->options, style);
        }
        heading(out, "Options of every command", style);
        render_options(out, common_options, style);
        mention_broker_options(out, style);
}

static bool is_in_group(const struct verb *verb, const char *group) {
        size_t size = strlen(group);

        return !verb->hidden && (size == 0 || (strncmp(verb->words, group, size) == 0 && verb->words[size] == ' '));
}

static void render_verbs(struct strbuf *out, const char *group, const struct style *style) {
        for (const struct verb *verb = verbs; verb->words; verb++)
                if (is_in_group(verb, group))
                        entry(out, verb->words, verb->summary, SUMMARY_COLUMN, style);
}

static const char all_head[] = "gatewayctl COMMAND [ARGUMENT...] [--OPTION...]\n\n"
                               "Updates the firmware of the devices around this gateway, through the daemon gatewayd.\n\n"
                               "  gatewayctl device scan                        what is there?\n"
                               "  gatewayctl device adopt smp-serial:000683     this one is mine\n"
                               "  gatewayctl update smp-serial:000683 app.bin   plan, question, progress, proof\n";

static const char exit_codes[] = "  0  done, and every device succeeded\n"
                                 "  1  done, but a device did not succeed, or a check found something\n"
                                 "  2  the command line is wrong\n"
                                 "  3  refused: the text and the name of the error say why; `gatewayctl errors NAME` explains it\n"
                                 "  4  no daemon, broker or gateway is reached, or the connection broke\n"
                                 "  5  not permitted\n"
                                 "  6  interrupted, or not finished within --timeout; the work goes on\n"
                                 "  7  the question was not answered with yes; nothing was changed\n"
                                 "  8  internal error\n";

static void render_all(struct strbuf *out, const char *group, const struct style *style) {
        if (group[0])
                strbuf_appendf(out, "gatewayctl %s COMMAND\n", group);
        else
                strbuf_append(out, all_head);
        heading(out, "Commands", style);
        render_verbs(out, group, style);
        strbuf_appendf(out, "\n`gatewayctl %s%sCOMMAND --help` explains one of them.\n", group, group[0] ? " " : "");
        heading(out, "Options of every command", style);
        render_options(out, common_options, style);
        heading(out, "Options for gateways behind a broker", style);
        render_options(out, broker_common_options, style);
        if (group[0])
                return;
        entry(out, "--version", "Print the version.", OPTION_COLUMN, style);
        heading(out, "Exit codes", style);
        strbuf_append(out, exit_codes);
}

int help_render(const struct verb *verb, const char *group, const struct style *style, struct strbuf *out) {
        struct style readable = *style;

        /* Long lines are hard to read, wherever they end up. */
        if (readable.columns == 0 || readable.columns > HELP_COLUMNS_MAX)
                readable.columns = HELP_COLUMNS_MAX;
        if (verb)
                render_verb(out, verb, &readable);
        else
                render_all(out, group, &readable);
        return out->error;
}

int run_help(struct session *session, struct failure *failure) {
        const char *first = arguments_at(session->arguments, 0), *second = arguments_at(session->arguments, 1);
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT(TEXT_LIMIT);
        const struct verb *verb;
        char words[128] = "";
        int r;

        if (first)
                str_format(words, sizeof words, "%s%s%s", first, second ? " " : "", second ? second : "");
        verb = verb_find(verbs, words);
        if (!verb && words[0] && (second || !verbs_have_group(verbs, words)))
                return failure_set(failure, EXIT_CODE_USAGE, "usage", "no command \"%s\"; gatewayctl --help lists them", words);
        r = help_render(verb, words, &session->style, &out);
        return r < 0 ? failure_errno(failure, r) : session_print(session, &out, failure);
}
