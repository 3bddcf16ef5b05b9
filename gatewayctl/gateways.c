/* SPDX-License-Identifier: Apache-2.0 */
#include "gateways.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void gateway_deinit(struct gateway *gateway) {
        str_list_deinit(&gateway->groups);
        json_free(gateway->status);
}

void gateways_deinit(struct gateways *gateways) {
        for (size_t i = 0; i < gateways->n_items; i++)
                gateway_deinit(&gateways->items[i]);
        free(gateways->items);
        *gateways = (struct gateways){ 0 };
}

/* Where this id is, or would be. */
static size_t place_of(const struct gateways *gateways, const char *id) {
        size_t from = 0, to = gateways->n_items;

        while (from < to) {
                size_t middle = from + (to - from) / 2;
                if (strcmp(gateways->items[middle].id, id) < 0)
                        from = middle + 1;
                else
                        to = middle;
        }
        return from;
}

const struct gateway *gateways_find(const struct gateways *gateways, const char *id) {
        size_t at = place_of(gateways, id);

        return at < gateways->n_items && strcmp(gateways->items[at].id, id) == 0 ? &gateways->items[at] : NULL;
}

static struct gateway *add(struct gateways *gateways, const char *id) {
        size_t at = place_of(gateways, id);
        struct gateway *items = reallocarray(gateways->items, gateways->n_items + 1, sizeof *items);

        if (!items)
                return NULL;
        gateways->items = items;
        memmove(&items[at + 1], &items[at], (gateways->n_items - at) * sizeof *items);
        gateways->n_items++;
        memset(&items[at], 0, sizeof *items);
        str_copy(items[at].id, sizeof items[at].id, id);
        return &items[at];
}

static void drop(struct gateways *gateways, const char *id) {
        size_t at = place_of(gateways, id);

        if (!gateways_find(gateways, id))
                return;
        gateway_deinit(&gateways->items[at]);
        gateways->n_items--;
        memmove(&gateways->items[at], &gateways->items[at + 1], (gateways->n_items - at) * sizeof *gateways->items);
}

static int read_groups(const struct json *status, struct str_list *groups) {
        JSON_FOREACH_ITEM(i, group, json_child(status, "groups")) {
                const char *name = json_string_or_null(group);
                int r = name ? str_list_append(groups, name) : 0;
                if (r < 0)
                        return r;
        }
        return 0;
}

/* What was known of it before and the document, a last will, does not say. */
static void keep_known(const struct json *known, struct json *status) {
        JSON_FOREACH_MEMBER(it, known)
        if (!json_has(status, it.key))
                (void) json_set(status, it.key, json_ref(it.value));
}

int gateways_take(struct gateways *gateways, const char *id, const char *text, size_t size) {
        _cleanup_str_list_ struct str_list groups = STR_LIST_INIT;
        _cleanup_json_ struct json *status = NULL;
        struct gateway *gateway = (struct gateway *) gateways_find(gateways, id);
        const char *state;
        bool online;
        int r;

        if (size == 0) {
                drop(gateways, id);
                return 0;
        }
        if (!str_is_gateway_id(id) || json_parse(text, size, 0, &status, NULL) < 0 || !(state = json_member_text(status, "state")))
                return -EBADMSG;
        online = strcmp(state, "online") == 0;
        if (!gateway && gateways->n_items >= GATEWAYS_MAX)
                return -E2BIG;
        if (gateway && !online)
                keep_known(gateway->status, status);
        r = read_groups(status, &groups);
        if (r < 0)
                return r;
        if (!gateway)
                gateway = add(gateways, id);
        if (!gateway)
                return -ENOMEM;
        gateway->online = online;
        gateway_deinit(gateway);
        gateway->groups = groups;
        gateway->status = TAKE_PTR(status);
        groups = STR_LIST_INIT;
        return 0;
}

size_t gateways_count(const struct gateways *gateways, const struct audience *audience) {
        size_t n = 0;

        for (size_t i = 0; i < gateways->n_items; i++)
                n += audience_has(audience, gateways->items[i].id, &gateways->items[i].groups);
        return n;
}
