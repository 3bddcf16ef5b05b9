/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Versions as MCUboot counts them, major.minor.revision+build, and rules on them: comparisons separated by blanks, all of
 * which must hold (">=1.2 <1.4.0"). All four numbers count, missing ones are 0: "1.4.0+3" is higher than "1.4.0". Devices that
 * write the build as a fourth part with a dot ("1.4.0.3") mean the same.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "document/limits.h"

struct version {
        uint32_t major, minor, revision, build;
};

/* "1", "1.4", "1.4.0", "1.4.0+7", "1.4.0.7", each at most 2^32 - 1; a leading "v" is taken as well. -EINVAL. */
int version_parse(const char *text, struct version *ret);

/* Below, at or above 0. */
int version_compare(const struct version *a, const struct version *b);

enum version_operator {
        VERSION_LESS,             /* <  */
        VERSION_LESS_OR_EQUAL,    /* <= */
        VERSION_EQUAL,            /* =  */
        VERSION_NOT_EQUAL,        /* != */
        VERSION_GREATER_OR_EQUAL, /* >= */
        VERSION_GREATER,          /* >  */
};

struct version_rule {
        struct {
                enum version_operator operator_;
                struct version version;
        } comparisons[CAMPAIGN_VERSION_COMPARISONS_MAX];
        size_t n_comparisons;
};

/* Each comparison is an operator with its version right behind it; one or more blanks between them, none at the ends. No "v"
 * here. -EINVAL, -E2BIG with more than CAMPAIGN_VERSION_COMPARISONS_MAX. */
int version_rule_parse(const char *text, struct version_rule *ret);
bool version_rule_match(const struct version_rule *rule, const struct version *version);
