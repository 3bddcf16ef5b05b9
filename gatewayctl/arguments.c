/* SPDX-License-Identifier: Apache-2.0 */
#include "arguments.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

const struct option_info common_options[] = {
        { .name = "socket",
          .kind = VALUE_FILE,
          .value = "PATH",
          .text = "Control socket of the daemon ($GATEWAYD_SOCKET, else /run/gatewayd/control.sock)." },
        { .name = "profile",
          .kind = VALUE_TEXT,
          .value = "NAME",
          .text = "Broker, keys and gateways from ~/.config/gatewayctl/profiles.conf ($GATEWAYCTL_PROFILE)." },
        { .name = "json", .kind = VALUE_NONE, .text = "For programs: one JSON document, or one a line where it streams." },
        { .name = "timeout",
          .kind = VALUE_DURATION,
          .value = "TIME",
          .min = 1,
          .max = INT64_MAX,
          .text = "Give up waiting after this time (\"90 s\", \"5 min\") with exit code 6; the work itself goes on." },
        { .name = "help", .letter = 'h', .kind = VALUE_NONE, .text = "Explain the command." },
        { .name = NULL },
};

const struct option_info broker_common_options[] = {
        { .name = "broker",
          .kind = VALUE_TEXT,
          .value = "URL",
          .text = "Through this broker: mqtts://host[:port], or mqtt:// to the same machine." },
        { .name = "gateway", .kind = VALUE_TEXT, .value = "ID", .text = "For this gateway." },
        { .name = "group", .kind = VALUE_TEXT, .value = "NAME", .text = "For the gateways of this group." },
        { .name = "all", .kind = VALUE_NONE, .text = "For all gateways; what only reads needs no word for that." },
        { .name = "ca-file",
          .kind = VALUE_FILE,
          .value = "PEM",
          .text = "Who signs the broker's certificate (default: the system's authorities)." },
        { .name = "cert", .kind = VALUE_FILE, .value = "PEM", .text = "Our certificate." },
        { .name = "cert-key", .kind = VALUE_FILE, .value = "PEM", .text = "Its key, where it is not in the same file." },
        { .name = "user", .kind = VALUE_TEXT, .value = "NAME", .text = "User name at the broker." },
        { .name = "password-file", .kind = VALUE_FILE, .value = "FILE", .text = "The first line is the password." },
        { .name = "client",
          .kind = VALUE_TEXT,
          .value = "NAME",
          .text = "Our name in the topic of replies (default: the user name, else a random one)." },
        { .name = "root", .kind = VALUE_TEXT, .value = "TOPIC", .text = "Where the topics begin (default gatewayd)." },
        { .name = NULL },
};

#define SUGGEST_DISTANCE 3

static const struct option_info *find_in(const struct option_info *options, const char *name, size_t size) {
        for (; options && options->name; options++)
                if (strlen(options->name) == size && strncmp(options->name, name, size) == 0)
                        return options;
        return NULL;
}

static const struct option_info *find_n(const struct verb *verb, const char *name, size_t size) {
        const struct option_info *option = verb ? find_in(verb->options, name, size) : NULL;

        if (!option)
                option = find_in(common_options, name, size);
        return option ? option : find_in(broker_common_options, name, size);
}

const struct option_info *option_find(const struct verb *verb, const char *name) {
        return find_n(verb, name, strlen(name));
}

static const struct option_info *find_letter(const struct verb *verb, char letter) {
        const struct option_info *tables[] = { verb ? verb->options : NULL, common_options, broker_common_options };

        for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
                for (const struct option_info *option = tables[i]; option && option->name; option++)
                        if (option->letter && option->letter == letter)
                                return option;
        return NULL;
}

bool verbs_have_group(const struct verb *verbs, const char *word) {
        size_t size = strlen(word);

        for (; verbs->words; verbs++)
                if (strncmp(verbs->words, word, size) == 0 && verbs->words[size] == ' ')
                        return true;
        return false;
}

const struct verb *verb_find(const struct verb *verbs, const char *words) {
        for (; verbs->words; verbs++)
                if (strcmp(verbs->words, words) == 0)
                        return verbs;
        return NULL;
}

/* --- reading --- */

/* Reading goes from left to right; what the words before gave decides what the next may be. */
struct parser {
        const struct verb *verbs;
        char **argv;
        int argc, at;
        struct arguments *arguments;
        struct failure *failure;
};

static const char *verb_words(const struct parser *parser) {
        return parser->arguments->verb ? parser->arguments->verb->words : "";
}

#define USAGE(parser, ...) failure_set((parser)->failure, EXIT_CODE_USAGE, "usage", __VA_ARGS__)

static bool choice_fits(const char *choices, const char *text) {
        size_t size = strlen(text);

        for (const char *at = choices; size > 0; at++) {
                size_t length = strcspn(at, "|");
                if (length == size && strncmp(at, text, size) == 0)
                        return true;
                at += length;
                if (!*at)
                        return false;
        }
        return false;
}

static int parse_value(struct parser *parser, const struct option_info *option, const char *text, int64_t *ret_number) {
        char least[32], most[32];
        int r = 0;

        switch (option->kind) {
        case VALUE_NUMBER:
                r = str_parse_int64(text, option->min, option->max, ret_number);
                return r == 0 ? 0
                              : USAGE(parser, "--%s %s: expected a number from %lld to %lld", option->name, text, (long long) option->min,
                                      (long long) option->max);
        case VALUE_DURATION:
                r = str_parse_duration_ms(text, ret_number);
                if (r == 0 && *ret_number >= option->min && *ret_number <= option->max)
                        return 0;
                str_format_duration_ms(least, sizeof least, option->min);
                str_format_duration_ms(most, sizeof most, option->max);
                if (r == 0 && option->max < INT64_MAX)
                        return USAGE(parser, "--%s %s: expected a time from %s to %s", option->name, text, least, most);
                return USAGE(parser, "--%s %s: expected a time such as 500ms, 30s or \"5 min\"", option->name, text);
        case VALUE_CHOICE:
                return choice_fits(option->choices, text)
                               ? 0
                               : USAGE(parser, "--%s %s: expected one of %s", option->name, text, option->choices);
        case VALUE_NONE:
        case VALUE_TEXT:
        case VALUE_FILE:
        case VALUE_DEVICE:
        case VALUE_CAMPAIGN:
        case VALUE_VERB:
        case VALUE_ERROR_NAME:
                return 0;
        }
        return 0;
}

static int add_given(struct parser *parser, const struct option_info *option, const char *text) {
        struct arguments *arguments = parser->arguments;
        struct given given = { .option = option, .text = text };
        struct given *grown;
        int r = text ? parse_value(parser, option, text, &given.number) : 0;

        if (r < 0)
                return r;
        for (size_t i = 0; i < arguments->n_given; i++)
                if (arguments->given[i].option == option && option->kind != VALUE_NONE && !option->repeated)
                        return USAGE(parser, "--%s is given twice", option->name);
        grown = reallocarray(arguments->given, arguments->n_given + 1, sizeof given);
        if (!grown)
                return failure_errno(parser->failure, -ENOMEM);
        arguments->given = grown;
        arguments->given[arguments->n_given++] = given;
        if (strcmp(option->name, "help") == 0)
                arguments->help = true;
        return 0;
}

static const char *nearest_option(const struct verb *verb, const char *name, size_t size) {
        const struct option_info *tables[] = { verb ? verb->options : NULL, common_options, broker_common_options };
        size_t best = SUGGEST_DISTANCE;
        const char *found = NULL;
        char word[64];

        str_copy_n(word, sizeof word, name, size);
        for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
                for (const struct option_info *option = tables[i]; option && option->name; option++)
                        if (str_distance(word, option->name) < best) {
                                best = str_distance(word, option->name);
                                found = option->name;
                        }
        return found;
}

static int unknown_option(struct parser *parser, const char *name, size_t size) {
        const char *nearest = nearest_option(parser->arguments->verb, name, size), *words = verb_words(parser);

        if (nearest)
                return USAGE(parser, "%s has no option --%.*s; did you mean --%s?", words[0] ? words : "gatewayctl", (int) size, name,
                             nearest);
        return USAGE(parser, "%s has no option --%.*s", words[0] ? words : "gatewayctl", (int) size, name);
}

/* argv[at] begins with '-'. */
static int parse_option(struct parser *parser) {
        const char *word = parser->argv[parser->at], *value = NULL;
        const struct option_info *option;

        if (word[1] == '-') {
                size_t size = strcspn(word + 2, "=");
                option = find_n(parser->arguments->verb, word + 2, size);
                if (!option)
                        return unknown_option(parser, word + 2, size);
                if (word[2 + size] == '=')
                        value = word + 2 + size + 1;
        } else {
                option = find_letter(parser->arguments->verb, word[1]);
                if (!option || word[2])
                        return USAGE(parser, "no option %s", word);
        }
        if (option->kind == VALUE_NONE)
                return value ? USAGE(parser, "--%s takes no value", option->name) : add_given(parser, option, NULL);
        if (!value && parser->at + 1 >= parser->argc)
                return USAGE(parser, "--%s needs a value: %s", option->name, option->value);
        return add_given(parser, option, value ? value : parser->argv[++parser->at]);
}

/* The command's words, behind options that stand before them. */
static int parse_verb(struct parser *parser) {
        struct arguments *arguments = parser->arguments;
        char words[64];
        int r = 0;

        for (; parser->at < parser->argc && parser->argv[parser->at][0] == '-' && r == 0; parser->at++) {
                if (strcmp(parser->argv[parser->at], "--version") == 0)
                        arguments->version = true;
                else
                        r = parse_option(parser);
        }
        if (r < 0)
                return r;
        arguments->group = "";
        if (parser->at >= parser->argc)
                return 0;
        arguments->group = parser->argv[parser->at++];
        if (verbs_have_group(parser->verbs, arguments->group) && parser->at < parser->argc && parser->argv[parser->at][0] != '-' &&
            str_format(words, sizeof words, "%s %s", arguments->group, parser->argv[parser->at]) == 0)
                arguments->verb = verb_find(parser->verbs, words);
        if (arguments->verb)
                parser->at++;
        else
                arguments->verb = verb_find(parser->verbs, arguments->group);
        return 0;
}

static const char *nearest_verb(const struct verb *verbs, const char *words) {
        size_t best = SUGGEST_DISTANCE;
        const char *found = NULL;

        for (; verbs->words; verbs++)
                if (!verbs->hidden && str_distance(words, verbs->words) < best) {
                        best = str_distance(words, verbs->words);
                        found = verbs->words;
                }
        return found;
}

static int unknown_verb(struct parser *parser) {
        const char *first = parser->arguments->group, *second = parser->at < parser->argc ? parser->argv[parser->at] : NULL, *nearest;
        bool in_group = verbs_have_group(parser->verbs, first);
        char words[64];

        if (in_group && (!second || strcmp(second, "--help") == 0 || strcmp(second, "-h") == 0)) {
                parser->arguments->help = parser->arguments->help || second;
                return 0;
        }
        str_format(words, sizeof words, "%s%s%s", first, in_group ? " " : "", in_group ? second : "");
        nearest = nearest_verb(parser->verbs, words);
        if (nearest)
                return USAGE(parser, "no command \"%s\"; did you mean \"%s\"?", words, nearest);
        return USAGE(parser, "no command \"%s\"; gatewayctl --help lists them", words);
}

static int parse_rest(struct parser *parser) {
        struct arguments *arguments = parser->arguments;
        bool only_positional = false;
        int r = 0;

        for (; parser->at < parser->argc && r == 0; parser->at++) {
                const char *word = parser->argv[parser->at];
                if (!only_positional && strcmp(word, "--") == 0)
                        only_positional = true;
                else if (!only_positional && word[0] == '-' && word[1])
                        r = parse_option(parser);
                else if (arguments->n_positional >= arguments->verb->max_arguments)
                        r = USAGE(parser, "%s: one word too many: %s", verb_words(parser), word);
                else
                        arguments->positional[arguments->n_positional++] = word;
        }
        if (r < 0 || arguments->help)
                return r;
        if (arguments->n_positional < arguments->verb->min_arguments)
                return USAGE(parser, "%s: %s is missing", verb_words(parser), arguments->verb->arguments[arguments->n_positional].name);
        return 0;
}

int arguments_parse(const struct verb *verbs, int argc, char **argv, struct arguments *ret_arguments, struct failure *failure) {
        struct parser parser = { .verbs = verbs, .argv = argv, .argc = argc, .at = 1, .arguments = ret_arguments, .failure = failure };
        int r;

        memset(ret_arguments, 0, sizeof *ret_arguments);
        r = parse_verb(&parser);
        if (r == 0 && ret_arguments->verb)
                r = parse_rest(&parser);
        else if (r == 0 && ret_arguments->group[0])
                r = unknown_verb(&parser);
        if (r < 0 && failure->exit_code == EXIT_CODE_USAGE && ret_arguments->verb)
                str_format(failure->advice, sizeof failure->advice, "gatewayctl %s --help explains the command.", verb_words(&parser));
        return r;
}

void arguments_deinit(struct arguments *arguments) {
        free(arguments->given);
        arguments->given = NULL;
        arguments->n_given = 0;
}

/* --- asking --- */

static const struct given *given_last(const struct arguments *arguments, const char *name) {
        assert(option_find(arguments->verb, name));
        for (size_t i = arguments->n_given; i-- > 0;)
                if (strcmp(arguments->given[i].option->name, name) == 0)
                        return &arguments->given[i];
        return NULL;
}

bool arguments_flag(const struct arguments *arguments, const char *name) {
        return given_last(arguments, name);
}

const char *arguments_text(const struct arguments *arguments, const char *name) {
        const struct given *given = given_last(arguments, name);

        return given ? given->text : NULL;
}

bool arguments_number(const struct arguments *arguments, const char *name, int64_t *ret_number) {
        const struct given *given = given_last(arguments, name);

        if (given)
                *ret_number = given->number;
        return given;
}

int arguments_texts(const struct arguments *arguments, const char *name, struct str_list *ret_texts) {
        int r = 0;

        assert(option_find(arguments->verb, name));
        for (size_t i = 0; i < arguments->n_given && r == 0; i++)
                if (strcmp(arguments->given[i].option->name, name) == 0)
                        r = str_list_append(ret_texts, arguments->given[i].text);
        return r;
}

const char *arguments_at(const struct arguments *arguments, size_t index) {
        return index < arguments->n_positional ? arguments->positional[index] : NULL;
}
