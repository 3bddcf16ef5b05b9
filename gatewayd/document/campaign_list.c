/* SPDX-License-Identifier: Apache-2.0 */
#include "document/campaign_list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "document/reader.h"

struct campaign_list {
        struct json *json; /* an array of texts */
};

static int check_items(const struct json *json, struct json_errors *errors) {
        size_t n_mistakes = 0;

        if (json_kind(json) != JSON_KIND_ARRAY || json_length(json) > CAMPAIGN_LIST_MAX) {
                json_errors_add(errors, "", "expected a list of at most %d signed campaigns, found %s%s", CAMPAIGN_LIST_MAX,
                                json_kind_name(json_kind(json)), json_kind(json) == JSON_KIND_ARRAY ? " with more" : "");
                return -EBADMSG;
        }
        JSON_FOREACH_ITEM(i, item, json) {
                const char *text = json_string_or_null(item);
                char path[JSON_PATH_MAX];

                if (text && rule_jws.is(text))
                        continue;
                json_path_index(path, "", i);
                json_errors_add(errors, path, "expected %s", rule_jws.expected);
                n_mistakes++;
        }
        return n_mistakes > 0 ? -EBADMSG : 0;
}

int campaign_list_parse(const char *text, size_t size, struct campaign_list **ret_list, struct json_errors *errors) {
        _cleanup_campaign_list_ struct campaign_list *list = calloc(1, sizeof *list);
        struct json_check_error wrong;
        int r;

        if (!list)
                return -ENOMEM;
        r = json_parse(text, size, 0, &list->json, &wrong);
        if (r == -EBADMSG)
                json_errors_add(errors, "", "line %u, column %u: %s", wrong.line, wrong.column, wrong.text);
        if (r == -E2BIG)
                json_errors_add(errors, "", "larger than %u bytes", JSON_SIZE_MAX);
        if (r == 0)
                r = check_items(list->json, errors);
        if (r < 0)
                return r;
        *ret_list = TAKE_PTR(list);
        return 0;
}

void campaign_list_free(struct campaign_list *list) {
        if (!list)
                return;
        json_free(list->json);
        free(list);
}

size_t campaign_list_count(const struct campaign_list *list) {
        return json_length(list->json);
}

const char *campaign_list_at(const struct campaign_list *list, size_t index) {
        return json_string_or_null(json_at(list->json, index));
}
