/* SPDX-License-Identifier: Apache-2.0 */
#include "audience.h"

#include "base/str.h"

bool audience_is_many(const struct audience *audience) {
        return audience->kind == AUDIENCE_GROUP || audience->kind == AUDIENCE_ALL;
}

bool audience_has(const struct audience *audience, const char *gateway, const struct str_list *groups) {
        switch (audience->kind) {
        case AUDIENCE_LOCAL:
        case AUDIENCE_ALL:
                return true;
        case AUDIENCE_GATEWAY:
                return str_equal(audience->name, gateway);
        case AUDIENCE_GROUP:
                return str_list_contains(groups, audience->name);
        }
        return false;
}

void audience_text(const struct audience *audience, char *dst, size_t size) {
        switch (audience->kind) {
        case AUDIENCE_LOCAL:
                str_copy(dst, size, "this gateway");
                return;
        case AUDIENCE_GATEWAY:
                str_format(dst, size, "gateway %s", audience->name);
                return;
        case AUDIENCE_GROUP:
                str_format(dst, size, "group %s", audience->name);
                return;
        case AUDIENCE_ALL:
                str_copy(dst, size, "all gateways");
                return;
        }
}

void audience_claim(const struct audience *audience, char *dst, size_t size) {
        switch (audience->kind) {
        case AUDIENCE_GATEWAY:
                str_copy(dst, size, audience->name);
                return;
        case AUDIENCE_GROUP:
                str_format(dst, size, "group:%s", audience->name);
                return;
        case AUDIENCE_LOCAL:
        case AUDIENCE_ALL:
                str_copy(dst, size, "*");
                return;
        }
}
