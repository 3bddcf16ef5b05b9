/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error_catalogue.h"

#include <string.h>

#include "base/cleanup.h"

static const struct gw_error_info catalogue[] = {
#define GW_ERROR(name_, kind_, meaning_, advice_) {.name = name_, .class_ = GW_ERROR_##kind_, .meaning = meaning_, .advice = advice_},
#include "base/error_catalogue.def"
#undef GW_ERROR
};

const struct gw_error_info *error_catalogue_find(const char *name) {
        for (size_t i = 0; i < ARRAY_SIZE(catalogue); i++)
                if (strcmp(catalogue[i].name, name) == 0)
                        return &catalogue[i];
        return NULL;
}

size_t error_catalogue_count(void) {
        return ARRAY_SIZE(catalogue);
}

const struct gw_error_info *error_catalogue_at(size_t index) {
        return index < ARRAY_SIZE(catalogue) ? &catalogue[index] : NULL;
}

const char *error_class_name(enum gw_error_class class_) {
        switch (class_) {
        case GW_ERROR_RETRY:
                return "retry";
        case GW_ERROR_TERMINAL:
                return "terminal";
        case GW_ERROR_WAIT:
                return "wait";
        }
        return "terminal";
}
