/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>

#include "api/door_https_internal.h"
#include "base/backoff.h"
#include "base/error_catalogue.h"
#include "base/str.h"
#include "document/campaign_list.h"

/*
 * A round: for each list  GET --(200)--> parse --> offer one campaign after the other --> the next list
 *                              \-(304, 404: nothing to do)-----------------------------/
 *                               \-(server in trouble)--> the round ends, back-off
 *
 * What was offered and answered for good is not offered again as long as it stays in its list: a campaign is known by a fingerprint of
 * its text. It is no security feature; a server that plays tricks with it can as well leave the campaign out.
 */

#define FIRST_ROUND_MAX_MS 30000 /* after a power cut a whole site comes back at once */

struct offered {
        uint64_t fingerprint;
        bool is_final;
        char error[48]; /* that was logged */
};

struct https_list {
        char url[HTTPS_URL_SIZE];
        char etag[HTTP_HEADER_VALUE_MAX];
        struct offered *offered; /* of the text as it was read last */
        size_t n_offered;
};

struct https_lists {
        struct https_side side;
        char base[HTTPS_URL_SIZE];
        struct https_list *lists;
        size_t n_lists;
        struct timer *timer; /* to the next round */
        bool renewing;       /* the groups changed during a round */

        /* the round that runs */
        bool running;
        size_t index; /* of the list */
        struct gw_error refusal; /* the first of a list that did not end the round */
        struct http_transfer *transfer;
        struct strbuf body;
        char etag[HTTP_HEADER_VALUE_MAX]; /* of the answer */
        struct campaign_list *campaigns;
        size_t next; /* to be offered */
        bool offering;
};

static void next_list(struct https_lists *lists);
static void begin_round(void *ctx);

static struct https_list *current(struct https_lists *lists) {
        return &lists->lists[lists->index];
}

/* --- rounds --- */

static void round_later(struct https_lists *lists, int64_t delay_ms) {
        timer_cancel(TAKE_PTR(lists->timer));
        if (!lists->side.door->stopping)
                (void) timer_start(lists->side.door->api->options.loop, delay_ms, begin_round, lists, &lists->timer);
}

/* Give or take a fifth: what began together drifts apart. */
static int64_t interval_ms(const struct https_lists *lists) {
        int64_t interval = lists->side.door->settings->https.poll_interval_ms;
        return interval - interval / 5 + (int64_t) ((uint64_t) (interval / 5 * 2) * backoff_random() >> 32);
}

static void end_round(struct https_lists *lists, int64_t delay_ms) {
        lists->running = false;
        round_later(lists, lists->renewing ? 0 : delay_ms);
}

/* The server is in trouble, or cannot be reached: the other lists would fare no better. */
static void abandon_round(struct https_lists *lists, const struct gw_error *err) {
        https_failed(&lists->side, err);
        end_round(lists, https_retry_ms(&lists->side));
}

static void complete_round(struct https_lists *lists) {
        if (gw_error_is_set(&lists->refusal))
                https_failed(&lists->side, &lists->refusal);
        else
                https_worked(&lists->side);
        end_round(lists, interval_ms(lists));
}

/* This list, and this one only, cannot be had. */
static void skip_list(struct https_lists *lists, const struct gw_error *err) {
        if (!gw_error_is_set(&lists->refusal))
                lists->refusal = *err;
        lists->index++;
        next_list(lists);
}

/* --- offering --- */

static uint64_t fingerprint_of(const char *text) {
        uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
        for (; *text; text++)
                hash = (hash ^ (uint8_t) *text) * UINT64_C(0x100000001b3);
        return hash;
}

static const struct offered *find_offered(const struct https_list *list, uint64_t fingerprint) {
        for (size_t i = 0; i < list->n_offered; i++)
                if (list->offered[i].fingerprint == fingerprint)
                        return &list->offered[i];
        return NULL;
}

/* What is known of the campaigns that stayed in the list; what left it is forgotten. */
static int remember_offered(struct https_list *list, const struct campaign_list *campaigns) {
        size_t n = campaign_list_count(campaigns);
        struct offered *offered = calloc(MAX(n, (size_t) 1), sizeof *offered);
        if (!offered)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                uint64_t fingerprint = fingerprint_of(campaign_list_at(campaigns, i));
                const struct offered *known = find_offered(list, fingerprint);
                offered[i] = known ? *known : (struct offered){ .fingerprint = fingerprint };
        }
        free(list->offered);
        list->offered = offered;
        list->n_offered = n;
        return 0;
}

static bool all_final(const struct https_list *list) {
        for (size_t i = 0; i < list->n_offered; i++)
                if (!list->offered[i].is_final)
                        return false;
        return true;
}

/* Would the same campaign be answered differently later? */
static bool may_pass(const char *error) {
        static const char *const passing[] = { "document-not-yet-valid", "outbox-full" };
        const struct gw_error_info *info = error_catalogue_find(error);
        for (size_t i = 0; i < ARRAY_SIZE(passing); i++)
                if (strcmp(passing[i], error) == 0)
                        return true;
        return info && info->class_ != GW_ERROR_TERMINAL;
}

static void note_answer(const struct https_list *list, struct offered *offered, const struct gw_error *err) {
        bool is_new = err && !str_equal(offered->error, err->name);
        offered->is_final = !err || !may_pass(err->name);
        (void) str_copy(offered->error, sizeof offered->error, err ? err->name : "");
        /* Lists are shared: most of what lies in them is somebody else's. */
        if (is_new && strcmp(err->name, "not-for-this-gateway") == 0)
                log_debug(&(struct log_fields){ .error = err->name }, "https door: %s: %s", list->url, err->text);
        else if (is_new)
                log_warning(&(struct log_fields){ .error = err->name }, "https door: a campaign of %s is refused: %s", list->url, err->text);
}

static void offer_next(struct https_lists *lists);

static void on_reply(void *ctx, struct json *result, const struct gw_error *err, const struct json_errors *mistakes) {
        struct https_lists *lists = ctx;
        (void) result;
        (void) mistakes;
        lists->offering = false;
        note_answer(current(lists), &current(lists)->offered[lists->next++], err);
        if (!lists->side.door->stopping)
                offer_next(lists);
}

static void end_list(struct https_lists *lists) {
        struct https_list *list = current(lists);
        campaign_list_free(TAKE_PTR(lists->campaigns));
        strbuf_deinit(&lists->body);
        /* Something is to be offered again: then the whole list has to come again. */
        (void) str_copy(list->etag, sizeof list->etag, all_final(list) ? lists->etag : "");
        lists->index++;
        next_list(lists);
}

static void offer_next(struct https_lists *lists) {
        static const struct update_actor actor = { .door = "https", .principal = "" };
        struct https_list *list = current(lists);
        const char *jws;
        int r;
        while (lists->next < list->n_offered && list->offered[lists->next].is_final)
                lists->next++;
        if (lists->next >= list->n_offered) {
                end_list(lists);
                return;
        }
        jws = campaign_list_at(lists->campaigns, lists->next);
        r = update_campaign_start_signed(lists->side.door->api->options.update, &actor, jws, strlen(jws), on_reply, lists);
        lists->offering = r >= 0;
        if (r < 0) {
                struct gw_error err = { 0 };
                gw_error_set(&err, "out-of-memory", "a campaign could not be offered: %s", strerror(-r));
                campaign_list_free(TAKE_PTR(lists->campaigns));
                abandon_round(lists, &err);
        }
}

/* --- reading --- */

static void read_list(struct https_lists *lists) {
        struct json_errors mistakes;
        struct gw_error err = { 0 };
        char what[256];
        int r;
        json_errors_init(&mistakes);
        r = campaign_list_parse(strbuf_text(&lists->body), lists->body.size, &lists->campaigns, &mistakes);
        if (r >= 0)
                r = remember_offered(current(lists), lists->campaigns);
        if (r >= 0) {
                lists->next = 0;
                offer_next(lists);
                return;
        }
        json_errors_format(&mistakes, what, sizeof what);
        if (r == -ENOMEM)
                gw_error_set(&err, "out-of-memory", "no memory for %s", current(lists)->url);
        else
                gw_error_set(&err, "campaign-list-invalid", "%s: %s", current(lists)->url, what);
        campaign_list_free(TAKE_PTR(lists->campaigns));
        current(lists)->etag[0] = '\0';
        skip_list(lists, &err);
}

static void forget_list(struct https_list *list) {
        free(TAKE_PTR(list->offered));
        list->n_offered = 0;
        list->etag[0] = '\0';
}

/* --- a request --- */

static int on_response(void *ctx, const struct http_response *response) {
        struct https_lists *lists = ctx;
        https_note_response(&lists->side, response);
        (void) str_copy(lists->etag, sizeof lists->etag, response->etag ? response->etag : "");
        strbuf_reset(&lists->body);
        return 0;
}

static int on_data(void *ctx, const uint8_t *data, size_t size) {
        struct https_lists *lists = ctx;
        return lists->side.status == 200 ? strbuf_append_n(&lists->body, (const char *) data, size) : 0;
}

static void judge(struct https_lists *lists) {
        struct gw_error refusal = { 0 };
        switch (lists->side.status) {
        case 200:
                read_list(lists);
                return;
        case 404: /* nobody has anything to say to this one */
        case 410:
                forget_list(current(lists));
                break;
        default:
                if (https_judge(&lists->side, 304, &refusal) >= 0)
                        break;
                if (str_equal(refusal.name, "door-forbidden") || str_equal(refusal.name, "door-refused"))
                        skip_list(lists, &refusal);
                else
                        abandon_round(lists, &refusal);
                return;
        }
        lists->index++;
        next_list(lists);
}

static void on_done(void *ctx, int result, const struct gw_error *err) {
        struct https_lists *lists = ctx;
        struct gw_error large = { 0 };
        lists->transfer = NULL;
        if (lists->side.door->stopping)
                return;
        if (result == -E2BIG) {
                gw_error_set(&large, "campaign-list-invalid", "%s: larger than %u bytes", current(lists)->url, JSON_SIZE_MAX);
                skip_list(lists, &large);
        } else if (result < 0 && !gw_error_is_set(err)) {
                gw_error_set(&large, "out-of-memory", "no memory for %s", current(lists)->url);
                abandon_round(lists, &large);
        } else if (result < 0) {
                abandon_round(lists, err);
        } else {
                judge(lists);
        }
}

static const struct http_handler http_handler = { .response = on_response, .data = on_data, .done = on_done };

static int fetch(struct https_lists *lists, struct gw_error *err) {
        struct https_list *list = current(lists);
        char if_none_match[HTTP_HEADER_VALUE_MAX + 20];
        const char *headers[] = { "Accept: application/json", if_none_match };
        struct http_request request = { .url = list->url, .headers = headers, .n_headers = list->etag[0] ? 2 : 1 };
        (void) str_format(if_none_match, sizeof if_none_match, "If-None-Match: %s", list->etag);
        strbuf_deinit(&lists->body);
        lists->body = STRBUF_INIT(JSON_SIZE_MAX);
        return https_start(&lists->side, &request, &http_handler, lists, &lists->transfer, err);
}

static void next_list(struct https_lists *lists) {
        struct gw_error err = { 0 };
        int r;
        if (lists->index >= lists->n_lists) {
                complete_round(lists);
                return;
        }
        r = fetch(lists, &err);
        if (r >= 0)
                return;
        if (!gw_error_is_set(&err))
                gw_error_set(&err, "out-of-memory", "%s: %s", current(lists)->url, strerror(-r));
        abandon_round(lists, &err);
}

/* --- which lists there are --- */

static void set_url(const struct https_lists *lists, struct https_list *list, const char *kind, const char *name) {
        if (str_format(list->url, sizeof list->url, "%s/%s%s.json", lists->base, kind, name) < 0)
                list->url[0] = '\0'; /* refused by the request */
}

static void free_lists(struct https_lists *lists) {
        for (size_t i = 0; i < lists->n_lists; i++)
                forget_list(&lists->lists[i]);
        free(TAKE_PTR(lists->lists));
        lists->n_lists = 0;
}

static int make_lists(struct https_lists *lists) {
        const struct api_options *options = &lists->side.door->api->options;
        const struct str_list *groups = &options->settings->gateway.groups;
        free_lists(lists);
        lists->lists = calloc(groups->n_items + 2, sizeof *lists->lists);
        if (!lists->lists)
                return -ENOMEM;
        set_url(lists, &lists->lists[lists->n_lists++], "gw/", options->gateway_id);
        for (size_t i = 0; i < groups->n_items; i++)
                set_url(lists, &lists->lists[lists->n_lists++], "group/", groups->items[i]);
        set_url(lists, &lists->lists[lists->n_lists++], "all", "");
        return 0;
}

static void begin_round(void *ctx) {
        struct https_lists *lists = ctx;
        struct gw_error err = { 0 };
        lists->timer = NULL;
        if (!https_clock_is_credible(&lists->side)) {
                gw_error_set(&err, "clock-not-credible", "certificates cannot be judged before the gateway's clock is set");
                https_failed(&lists->side, &err);
                round_later(lists, HTTPS_CLOCK_RETRY_MS);
                return;
        }
        if ((lists->renewing || !lists->lists) && make_lists(lists) < 0) {
                round_later(lists, HTTPS_RETRY_FIRST_MS);
                return;
        }
        lists->renewing = false;
        lists->running = true;
        lists->index = 0;
        lists->refusal = (struct gw_error){ 0 };
        next_list(lists);
}

/* --- life --- */

int https_lists_new(struct door_https *door, struct https_lists **ret_lists) {
        struct https_lists *lists = calloc(1, sizeof *lists);
        int64_t first_max_ms = MIN(door->settings->https.poll_interval_ms, (int64_t) FIRST_ROUND_MAX_MS);
        size_t length;
        if (!lists)
                return -ENOMEM;
        lists->side = (struct https_side){ .door = door, .part = "lists", .url = door->settings->https.url };
        (void) str_copy(lists->base, sizeof lists->base, door->settings->https.url);
        for (length = strlen(lists->base); length > 0 && lists->base[length - 1] == '/'; length--)
                lists->base[length - 1] = '\0';
        round_later(lists, backoff_ms(1, first_max_ms, first_max_ms, backoff_random()));
        *ret_lists = lists;
        return 0;
}

void https_lists_stop(struct https_lists *lists) {
        if (!lists)
                return;
        timer_cancel(TAKE_PTR(lists->timer));
        http_cancel(lists->transfer);
}

void https_lists_free(struct https_lists *lists) {
        if (!lists)
                return;
        timer_cancel(lists->timer);
        free_lists(lists);
        campaign_list_free(lists->campaigns);
        strbuf_deinit(&lists->body);
        free(lists);
}

void https_lists_renew(struct https_lists *lists) {
        if (!lists)
                return;
        lists->renewing = true;
        if (!lists->running)
                round_later(lists, 0);
}

const struct https_side *https_lists_side(const struct https_lists *lists) {
        return &lists->side;
}
