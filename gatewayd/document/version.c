/* SPDX-License-Identifier: Apache-2.0 */
#include "document/version.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"

#define VERSION_DIGITS_MAX 10 /* of UINT32_MAX */

/* One number at *text, which moves behind it. */
static int take_number(const char **text, uint32_t *ret) {
        uint64_t value = 0;
        size_t n_digits = 0;

        while (isdigit((unsigned char) **text)) {
                if (++n_digits > VERSION_DIGITS_MAX)
                        return -EINVAL;
                value = value * 10 + (uint64_t) (*(*text)++ - '0');
        }
        if (n_digits == 0 || value > UINT32_MAX)
                return -EINVAL;
        *ret = (uint32_t) value;
        return 0;
}

/* One version at *text, which moves behind it; what follows is the caller's matter. */
static int take_version(const char **text, struct version *ret) {
        struct version version = {0};
        uint32_t *const numbers[] = {&version.major, &version.minor, &version.revision, &version.build};
        size_t n = 0;

        for (;;) {
                if (take_number(text, numbers[n++]) < 0)
                        return -EINVAL;
                if (**text != '.' || n == ARRAY_SIZE(numbers))
                        break;
                (*text)++;
        }
        if (**text == '+' && n < ARRAY_SIZE(numbers)) {
                (*text)++;
                if (take_number(text, &version.build) < 0)
                        return -EINVAL;
        }
        *ret = version;
        return 0;
}

int version_parse(const char *text, struct version *ret) {
        struct version version;

        if (*text == 'v')
                text++;
        if (take_version(&text, &version) < 0 || *text != '\0')
                return -EINVAL;
        *ret = version;
        return 0;
}

static int compare_numbers(uint32_t a, uint32_t b) {
        return (a > b) - (a < b);
}

int version_compare(const struct version *a, const struct version *b) {
        int r = compare_numbers(a->major, b->major);

        if (r == 0)
                r = compare_numbers(a->minor, b->minor);
        if (r == 0)
                r = compare_numbers(a->revision, b->revision);
        if (r == 0)
                r = compare_numbers(a->build, b->build);
        return r;
}

/* The longer ones first. */
static const struct {
        const char *text;
        enum version_operator operator_;
} operators[] = {
        {"<=", VERSION_LESS_OR_EQUAL}, {">=", VERSION_GREATER_OR_EQUAL}, {"!=", VERSION_NOT_EQUAL},
        {"<", VERSION_LESS},           {">", VERSION_GREATER},           {"=", VERSION_EQUAL},
};

static int take_operator(const char **text, enum version_operator *ret) {
        for (size_t i = 0; i < ARRAY_SIZE(operators); i++) {
                size_t size = strlen(operators[i].text);

                if (strncmp(*text, operators[i].text, size) != 0)
                        continue;
                *text += size;
                *ret = operators[i].operator_;
                return 0;
        }
        return -EINVAL;
}

int version_rule_parse(const char *text, struct version_rule *ret) {
        struct version_rule rule = {.n_comparisons = 0};

        for (;;) {
                size_t n = rule.n_comparisons++;

                if (n == CAMPAIGN_VERSION_COMPARISONS_MAX)
                        return -E2BIG;
                if (take_operator(&text, &rule.comparisons[n].operator_) < 0 || take_version(&text, &rule.comparisons[n].version) < 0)
                        return -EINVAL;
                if (*text == '\0')
                        break;
                if (*text != ' ')
                        return -EINVAL;
                text += strspn(text, " ");
        }
        *ret = rule;
        return 0;
}

static bool comparison_holds(enum version_operator operator_, int order) {
        switch (operator_) {
        case VERSION_LESS:
                return order < 0;
        case VERSION_LESS_OR_EQUAL:
                return order <= 0;
        case VERSION_EQUAL:
                return order == 0;
        case VERSION_NOT_EQUAL:
                return order != 0;
        case VERSION_GREATER_OR_EQUAL:
                return order >= 0;
        case VERSION_GREATER:
                return order > 0;
        }
        return false;
}

bool version_rule_match(const struct version_rule *rule, const struct version *version) {
        for (size_t i = 0; i < rule->n_comparisons; i++)
                if (!comparison_holds(rule->comparisons[i].operator_, version_compare(version, &rule->comparisons[i].version)))
                        return false;
        return true;
}
