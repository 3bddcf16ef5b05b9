/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <stdlib.h>
#include <string.h>

#include "base/error_catalogue.h"
#include "document/limits.h"

/*
 * `gatewayctl complete -- WORD...`: what the last word may become, one a line, for the completion of a shell. A line "/files" says that
 * it is a file name. Whatever fails gives no candidates: a shell shows no errors while somebody types.
 */

#define COMPLETE_TIMEOUT_MS 1000 /* a person waits for it */

struct completion {
        struct session *session;
        struct strbuf out;
        const char *word;                   /* what is typed of it so far */
        const struct verb *verb;            /* NULL: its words are not complete */
        char group[64];                     /* the first of two words */
        bool has_first;                     /* a first word is there */
        const struct option_info *value_of; /* the word is this option's value */
        size_t n_positional;
        bool only_positional;
};

static void offer(struct completion *completion, const char *candidate) {
        if (str_starts_with(candidate, completion->word))
                strbuf_appendf(&completion->out, "%s\n", candidate);
}

static void offer_choices(struct completion *completion, const char *choices) {
        while (choices && *choices) {
                size_t size = strcspn(choices, "|");
                char choice[64];
                if (str_copy_n(choice, sizeof choice, choices, size) == 0)
                        offer(completion, choice);
                choices += size + (choices[size] == '|');
        }
}

/* --- what the daemon knows --- */

static int ask(struct completion *completion, const char *method, struct answers *ret_answers) {
        struct session *session = completion->session;
        struct client_request request = { .method = method, .timeout_ms = COMPLETE_TIMEOUT_MS };
        _cleanup_members_ struct members params = members_new();
        struct failure failure = { 0 };
        int r = session_connect(session, &failure);

        members_number(&params, "limit", COMMAND_PAGE_MAX);
        request.params = TAKE_PTR(params.json);
        if (r < 0)
                json_free(request.params);
        else
                r = client_gather(session->client, &request, ret_answers, &failure);
        failure_deinit(&failure);
        return r;
}

static void offer_ids(struct completion *completion, const char *method, const char *list) {
        _cleanup_answers_ struct answers answers = { 0 };

        if (ask(completion, method, &answers) < 0)
                return;
        for (size_t i = 0; i < answers.n_items; i++)
                JSON_FOREACH_ITEM(j, item, json_child(answers.items[i].result, list))
        if (json_member_text(item, "id"))
                offer(completion, json_member_text(item, "id"));
}

/* --- what the table knows --- */

/* First words, or second words of a group; each once. */
static void offer_verbs(struct completion *completion, const char *group) {
        const char *last = "";
        size_t last_size = 0;

        for (const struct verb *verb = verbs; verb->words; verb++) {
                const char *word = verb->words;
                size_t size;
                char text[64];
                if (verb->hidden || (group[0] && (!str_starts_with(word, group) || word[strlen(group)] != ' ')))
                        continue;
                word += group[0] ? strlen(group) + 1 : 0;
                size = strcspn(word, " ");
                if (size == last_size && strncmp(word, last, size) == 0)
                        continue;
                last = word;
                last_size = size;
                if (str_copy_n(text, sizeof text, word, size) == 0)
                        offer(completion, text);
        }
}

static void offer_value(struct completion *completion, enum value_kind kind, const char *choices) {
        switch (kind) {
        case VALUE_CHOICE:
                offer_choices(completion, choices);
                return;
        case VALUE_FILE:
                strbuf_append(&completion->out, "/files\n");
                return;
        case VALUE_DEVICE:
                offer_ids(completion, "device.list", "devices");
                return;
        case VALUE_CAMPAIGN:
                offer_ids(completion, "campaign.list", "campaigns");
                return;
        case VALUE_VERB:
                offer_verbs(completion, "");
                return;
        case VALUE_ERROR_NAME:
                for (size_t i = 0; i < error_catalogue_count(); i++)
                        offer(completion, error_catalogue_at(i)->name);
                return;
        case VALUE_NONE:
        case VALUE_TEXT:
        case VALUE_NUMBER:
        case VALUE_DURATION:
                return;
        }
}

static void offer_options(struct completion *completion, const struct option_info *options) {
        for (; options && options->name; options++) {
                char text[64];
                if (str_format(text, sizeof text, "--%s", options->name) == 0)
                        offer(completion, text);
        }
}

/* Where the last argument may come again, it stands for all that follow. */
static size_t last_named(const struct verb *verb, size_t position) {
        while (position > 0 && (position >= ARRAY_SIZE(verb->arguments) || !verb->arguments[position].name))
                position--;
        return position;
}

static void offer_next(struct completion *completion) {
        const struct verb *verb = completion->verb;
        size_t position = completion->n_positional;

        if (completion->value_of) {
                offer_value(completion, completion->value_of->kind, completion->value_of->choices);
        } else if (!completion->only_positional && completion->word[0] == '-') {
                offer_options(completion, verb ? verb->options : NULL);
                offer_options(completion, common_options);
                offer_options(completion, broker_common_options);
        } else if (!completion->has_first) {
                offer_verbs(completion, "");
        } else if (!verb || (position == 0 && strcmp(verb->words, completion->group) == 0 && verbs_have_group(verbs, completion->group))) {
                offer_verbs(completion, completion->group);
        } else if (position < verb->max_arguments) {
                const struct argument_info *argument = &verb->arguments[verb->many ? last_named(verb, position) : position];
                offer_value(completion, argument->kind, argument->choices);
        }
}

/* --- the words before --- */

static void take_option(struct completion *completion, const char *word) {
        const struct option_info *option =
                strncmp(word, "--", 2) == 0 && !strchr(word, '=') ? option_find(completion->verb, word + 2) : NULL;

        completion->value_of = option && option->kind != VALUE_NONE ? option : NULL;
}

static void take_word(struct completion *completion, const char *word) {
        char words[128];

        if (completion->value_of) {
                /* Ids are those of the daemon that the typed command is for. */
                if (strcmp(completion->value_of->name, "socket") == 0)
                        setenv("GATEWAYD_SOCKET", word, true);
                if (strcmp(completion->value_of->name, "profile") == 0)
                        setenv("GATEWAYCTL_PROFILE", word, true);
                completion->value_of = NULL;
        } else if (!completion->only_positional && strcmp(word, "--") == 0) {
                completion->only_positional = true;
        } else if (!completion->only_positional && word[0] == '-') {
                take_option(completion, word);
        } else if (!completion->has_first) {
                completion->has_first = true;
                str_copy(completion->group, sizeof completion->group, word);
                completion->verb = verb_find(verbs, word);
        } else if (completion->n_positional == 0 && str_format(words, sizeof words, "%s %s", completion->group, word) == 0 &&
                   verb_find(verbs, words)) {
                completion->verb = verb_find(verbs, words);
        } else {
                completion->n_positional++;
        }
}

int run_complete(struct session *session, struct failure *failure) {
        struct completion completion = { .session = session, .out = STRBUF_INIT(TEXT_LIMIT), .word = "" };
        const struct arguments *arguments = session->arguments;
        int r;

        for (size_t i = 0; i + 1 < arguments->n_positional; i++)
                take_word(&completion, arguments_at(arguments, i));
        if (arguments->n_positional > 0)
                completion.word = arguments_at(arguments, arguments->n_positional - 1);
        offer_next(&completion);
        r = session_print(session, &completion.out, failure);
        strbuf_deinit(&completion.out);
        return r;
}
