/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error_catalogue.h"

#include <string.h>

#include "base/cleanup.h"

static const struct error_info catalogue[] = {
#define GW_ERROR(name_, class_, meaning_, advice_) {.name = name_, .class = ERROR_CLASS_##class_, .meaning = meaning_, .advice = advice_},
#include "base/error_catalogue.def"
#undef GW_ERROR
};

const struct error_info *error_catalogue_find(const char *name) {
        for (size_t i = 0; i < ARRAY_SIZE(catalogue); i++)
                if (strcmp(catalogue[i].name, name) == 0)
                        return &catalogue[i];
        return NULL;
}

size_t error_catalogue_count(void) {
        return ARRAY_SIZE(catalogue);
}

const struct error_info *error_catalogue_at(size_t index) {
        return index < ARRAY_SIZE(catalogue) ? &catalogue[index] : NULL;
}

const char *error_class_name(enum error_class class) {
        switch (class) {
        case ERROR_CLASS_RETRY:
                return "retry";
        case ERROR_CLASS_TERMINAL:
                return "terminal";
        case ERROR_CLASS_WAIT:
                return "wait";
        }
        return "terminal";
}
