/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "base/time.h"
#include "loop/http_internal.h"

/* ---- lines */

static void keep_header(struct http_head *head, const char *name, size_t name_size, const char *value, size_t value_size) {
        const struct {
                const char *name;
                char *value;
                size_t size;
        } kept[] = {
                { "etag", head->etag, sizeof head->etag },
                { "last-modified", head->last_modified, sizeof head->last_modified },
                { "content-type", head->content_type, sizeof head->content_type },
                { "content-range", head->content_range, sizeof head->content_range },
                { "content-length", head->content_length, sizeof head->content_length },
                { "retry-after", head->retry_after, sizeof head->retry_after },
                { "date", head->date, sizeof head->date },
                { "location", head->location, sizeof head->location },
        };

        for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
                if (strlen(kept[i].name) == name_size && strncasecmp(kept[i].name, name, name_size) == 0 &&
                    str_copy_n(kept[i].value, kept[i].size, value, value_size) < 0)
                        kept[i].value[0] = '\0';
}

/* "HTTP/1.1 200 OK": a new head, behind an interim one. */
static void begin_head(struct http_head *head, const char *line, size_t size) {
        const char *blank = memchr(line, ' ', size);
        size_t n_bytes = head->n_bytes;

        *head = (struct http_head){ .n_bytes = n_bytes };
        if (blank && (size_t) (line + size - blank) > 3)
                head->status = (blank[1] - '0') * 100 + (blank[2] - '0') * 10 + (blank[3] - '0');
}

int http_head_line(struct http_head *head, const char *line, size_t size) {
        const char *colon;

        if (head->complete)
                return 0; /* a trailer */
        head->n_bytes += size;
        if (head->n_bytes > HTTP_HEADERS_MAX)
                return -E2BIG;
        while (size > 0 && isspace((unsigned char) line[size - 1]))
                size--;
        if (size == 0) {
                head->complete = head->status >= 200;
                return 0;
        }
        if (size > 5 && strncasecmp(line, "HTTP/", 5) == 0) {
                begin_head(head, line, size);
                return 0;
        }
        colon = memchr(line, ':', size);
        if (!colon)
                return 0;
        size -= (size_t) (colon + 1 - line);
        for (const char *value = colon + 1;; value++, size--)
                if (size == 0 || !isspace((unsigned char) *value)) {
                        keep_header(head, line, (size_t) (colon - line), value, size);
                        return 0;
                }
}

bool http_head_is_redirect(const struct http_head *head) {
        switch (head->status) {
        case 301:
        case 302:
        case 303:
        case 307:
        case 308:
                return head->location[0] != '\0';
        default:
                return false;
        }
}

/* ---- values */

static const char *text_or_null(const char *text) {
        return text[0] ? text : NULL;
}

static int64_t number_or_unknown(const char *text) {
        int64_t number;

        return str_parse_int64(text, 0, INT64_MAX, &number) < 0 ? -1 : number;
}

/* "bytes 5-9/10", "bytes 5-9/" with a star for the size: RFC 9110, 14.4. */
static void parse_content_range(const char *text, struct http_response *response) {
        char copy[HTTP_HEADER_VALUE_MAX], *dash, *slash;
        int64_t from, to;

        if (strncasecmp(text, "bytes ", 6) != 0)
                return;
        strcpy(copy, text + 6);
        dash = strchr(copy, '-');
        slash = strchr(copy, '/');
        if (!dash || !slash || slash < dash)
                return;
        *dash = *slash = '\0';
        from = number_or_unknown(copy);
        to = number_or_unknown(dash + 1);
        if (from < 0 || to < from)
                return;
        response->range_from = from;
        response->range_to = to;
        response->range_size = number_or_unknown(slash + 1);
}

/* Seconds, or a date: that one is held against the server's own clock, since ours may not be set. RFC 9110, 10.2.3. */
static int64_t retry_after_ms(const struct http_head *head) {
        int64_t delay_ms = number_or_unknown(head->retry_after);
        time_t now, then;

        if (delay_ms >= 0)
                return MIN(delay_ms, (int64_t) HTTP_RETRY_AFTER_MAX_MS / 1000) * 1000;
        then = head->retry_after[0] ? curl_getdate(head->retry_after, NULL) : -1;
        if (then < 0)
                return -1;
        now = head->date[0] ? curl_getdate(head->date, NULL) : -1;
        if (now < 0)
                now = (time_t) (time_now_wall_ms() / 1000);
        delay_ms = ((int64_t) then - now) * 1000;
        return MAX(MIN(delay_ms, (int64_t) HTTP_RETRY_AFTER_MAX_MS), (int64_t) 0);
}

void http_head_response(const struct http_head *head, const char *url, struct http_response *ret_response) {
        *ret_response = (struct http_response){
                .status = head->status,
                .url = url,
                .etag = text_or_null(head->etag),
                .last_modified = text_or_null(head->last_modified),
                .content_type = text_or_null(head->content_type),
                .content_length = number_or_unknown(head->content_length),
                .range_from = -1,
                .range_to = -1,
                .range_size = -1,
                .retry_after_ms = retry_after_ms(head),
        };
        parse_content_range(head->content_range, ret_response);
}
