/* SPDX-License-Identifier: Apache-2.0 */
#include "topics.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"

static const struct {
        enum transport_document_kind kind;
        const char *word;
        bool has_id;
} words[] = {
        { TRANSPORT_STATUS, "status", false }, { TRANSPORT_EVENT, "event", false },    { TRANSPORT_CAMPAIGN, "campaign", true },
        { TRANSPORT_DEVICE, "device", true },  { TRANSPORT_DESIRED, "desired", true },
};

/* "gw/pi-1", "group/oslo", "all". */
static int audience_path(const struct audience *audience, char *dst, size_t size) {
        switch (audience->kind) {
        case AUDIENCE_GATEWAY:
                return str_format(dst, size, "gw/%s", audience->name);
        case AUDIENCE_GROUP:
                return str_format(dst, size, "group/%s", audience->name);
        case AUDIENCE_LOCAL:
        case AUDIENCE_ALL:
                return str_copy(dst, size, "all");
        }
        return -EINVAL;
}

int topic_command(const char *root, const struct audience *audience, char ret_topic[static TOPIC_SIZE]) {
        char path[96];
        int r = audience_path(audience, path, sizeof path);

        return r < 0 ? r : str_format(ret_topic, TOPIC_SIZE, "%s/v1/%s/command", root, path);
}

int topic_reply(const char *root, const char *client, char ret_topic[static TOPIC_SIZE]) {
        return str_format(ret_topic, TOPIC_SIZE, "%s/v1/client/%s/reply", root, client);
}

int topic_desired(const char *root, const struct audience *audience, const char *campaign, char ret_topic[static TOPIC_SIZE]) {
        char path[96];
        int r = audience_path(audience, path, sizeof path);

        return r < 0 ? r : str_format(ret_topic, TOPIC_SIZE, "%s/v1/%s/desired/%s", root, path, campaign);
}

int topic_filter(const char *root, enum transport_document_kind kind, const struct transport_interest *interest,
                 char ret_topic[static TOPIC_SIZE]) {
        const char *gateway = interest->audience.kind == AUDIENCE_GATEWAY ? interest->audience.name : "+";
        const char *campaign = interest->campaign && kind != TRANSPORT_DEVICE ? interest->campaign : "+";

        if (kind == TRANSPORT_DESIRED)
                return topic_desired(root, &interest->audience, campaign, ret_topic);
        for (size_t i = 0; i < ARRAY_SIZE(words); i++)
                if (words[i].kind == kind)
                        return str_format(ret_topic, TOPIC_SIZE, "%s/v1/gw/%s/%s%s%s", root, gateway, words[i].word,
                                          words[i].has_id ? "/" : "", words[i].has_id ? campaign : "");
        return -EINVAL;
}

/* --- reading --- */

/* The next part of a path, which is cut there. NULL: the end. */
static char *next_part(char **at) {
        char *part = *at, *slash = part ? strchr(part, '/') : NULL;

        if (slash)
                *slash = '\0';
        *at = slash ? slash + 1 : NULL;
        return part;
}

static int read_audience(char **at, struct audience *ret_audience) {
        const char *word = next_part(at);
        bool is_gateway = str_equal(word, "gw");

        if (str_equal(word, "all")) {
                *ret_audience = (struct audience){ .kind = AUDIENCE_ALL };
                return 0;
        }
        if (!is_gateway && !str_equal(word, "group"))
                return -ENOENT;
        *ret_audience = (struct audience){ .kind = is_gateway ? AUDIENCE_GATEWAY : AUDIENCE_GROUP, .name = next_part(at) };
        return ret_audience->name && str_is_gateway_id(ret_audience->name) ? 0 : -ENOENT;
}

int topic_read(const char *root, const char *topic, char parts[static TOPIC_SIZE], struct transport_document *ret_document) {
        size_t root_size = strlen(root);
        struct transport_document document = { 0 };
        const char *word;
        char *at;

        if (!str_starts_with(topic, root) || !str_starts_with(topic + root_size, "/v1/") ||
            str_copy(parts, TOPIC_SIZE, topic + root_size + strlen("/v1/")) < 0)
                return -ENOENT;
        at = parts;
        if (read_audience(&at, &document.of) < 0)
                return -ENOENT;
        word = next_part(&at);
        document.id = at;
        for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
                if (!str_equal(words[i].word, word) || words[i].has_id != (document.id != NULL) ||
                    (document.of.kind != AUDIENCE_GATEWAY && words[i].kind != TRANSPORT_DESIRED))
                        continue;
                document.kind = words[i].kind;
                *ret_document = document;
                return 0;
        }
        return -ENOENT;
}
