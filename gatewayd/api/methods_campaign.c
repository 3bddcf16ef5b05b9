/* SPDX-License-Identifier: Apache-2.0 */
#include "api/methods.h"

#include <inttypes.h>

#include "base/str.h"
#include "document/names.h"

#define CAMPAIGN_TOKEN_SIZE (STR_ID_MAX + 24) /* "<id>@<revision>" */

void method_campaign_start(struct call *call) {
        struct update *update = call->api->options.update;
        const char *jws = call_text(call, "jws");
        call_started(call, jws ? update_campaign_start_signed(update, &call->actor, jws, strlen(jws), call_reply, call)
                               : update_campaign_start(update, &call->actor, json_child(call->params, "document"), call_reply, call));
}

void method_campaign_pause(struct call *call) {
        call_started(call, update_campaign_pause(call->api->options.update, &call->actor, call_text(call, "id"), call_text(call, "reason"), call_reply,
                                                 call));
}

void method_campaign_resume(struct call *call) {
        call_started(call, update_campaign_resume(call->api->options.update, &call->actor, call_text(call, "id"), call_reply, call));
}

void method_campaign_continue(struct call *call) {
        call_started(call, update_campaign_continue(call->api->options.update, &call->actor, call_text(call, "id"), call_reply, call));
}

void method_campaign_cancel(struct call *call) {
        call_started(call, update_campaign_cancel(call->api->options.update, &call->actor, call_text(call, "id"), call_reply, call));
}

static int read_texts(const struct json *texts, struct str_list *list) {
        JSON_FOREACH_ITEM(i, item, texts) {
                int r = str_list_append(list, json_string_or_null(item));
                if (r < 0)
                        return r;
        }
        return 0;
}

void method_campaign_retry(struct call *call) {
        _cleanup_str_list_ struct str_list devices = STR_LIST_INIT, errors = STR_LIST_INIT;
        struct update_retry retry = { .id = call_text(call, "id") };
        int r = read_texts(json_child(call->params, "devices"), &devices);
        if (r >= 0)
                r = read_texts(json_child(call->params, "errors"), &errors);
        if (devices.n_items > 0)
                retry.devices = &devices;
        if (errors.n_items > 0)
                retry.errors = &errors;
        if (r >= 0)
                r = update_campaign_retry(call->api->options.update, &call->actor, &retry, call_reply, call);
        call_started(call, r);
}

/* --- looking --- */

static bool wants_only_unfinished(const struct json *states) {
        enum campaign_state state;
        JSON_FOREACH_ITEM(i, item, states)
        if (campaign_state_parse(json_string_or_null(item), &state) < 0 || campaign_state_is_final(state))
                return false;
        return json_length(states) > 0;
}

static void token_of(const struct json *campaign, char token[CAMPAIGN_TOKEN_SIZE]) {
        int64_t revision = 0;
        (void) json_member_int(campaign, "revision", 0, INT64_MAX, &revision);
        (void) str_format(token, CAMPAIGN_TOKEN_SIZE, "%s@%" PRId64, json_member_text(campaign, "id"), revision);
}

/* list is in order of acceptance; the page begins with the newest. *found: `after` was met, or there is none. */
static int fill_campaigns(const struct call *call, const struct json *list, struct page *page, bool *found) {
        const struct json *states = json_child(call->params, "state");
        const char *after = call_text(call, "after");
        char token[CAMPAIGN_TOKEN_SIZE];
        *found = !after;
        for (size_t i = json_length(list); i-- > 0;) {
                struct json *campaign = json_at(list, i);
                int r;
                token_of(campaign, token);
                if (!*found) {
                        *found = strcmp(token, after) == 0;
                        continue;
                }
                if (states && !texts_contain(states, json_member_text(campaign, "state")))
                        continue;
                if (!page_wants(page))
                        return 0;
                r = page_add(page, json_ref(campaign), token);
                if (r < 0)
                        return r;
        }
        return 0;
}

void method_campaign_list(struct call *call) {
        _cleanup_json_ struct json *result = json_new_object(), *list = NULL;
        struct page page;
        bool found = true;
        int r = result ? page_begin(&page, call->params, result, "campaigns") : -ENOMEM;
        if (r >= 0)
                r = update_campaign_list(call->api->options.update, wants_only_unfinished(json_child(call->params, "state")), &list);
        if (r >= 0)
                r = fill_campaigns(call, list, &page, &found);
        if (r >= 0)
                r = page_finish(&page, result);
        if (r < 0)
                call_fail_errno(call, r, NULL);
        else if (!found)
                call_fail_param(call, "params.after", "no such campaign any more; begin again without it");
        else
                call_answer(call, TAKE_PTR(result));
}

static int64_t revision_of(const struct call *call) {
        int64_t revision = -1;
        (void) json_member_int(call->params, "revision", 1, INT64_MAX, &revision);
        return revision;
}

/* The jobs of one page, chosen before they are described: a campaign may have thousands. */
struct jobs_page {
        const struct json *states, *devices;
        const char *after; /* met; NULL: from the first */
        bool found;
        int64_t left;
};

static bool page_wants_job(void *ctx, const char *device, enum job_state state) {
        struct jobs_page *page = ctx;
        if (!page->found) {
                page->found = strcmp(device, page->after) == 0;
                return false;
        }
        if ((page->states && !texts_contain(page->states, job_state_name(state))) || (page->devices && !texts_contain(page->devices, device)))
                return false;
        return page->left-- > 0;
}

static int fill_jobs(const struct json *jobs, struct page *page) {
        JSON_FOREACH_ITEM(i, job, jobs) {
                int r;
                if (!page_wants(page))
                        return 0;
                r = page_add(page, json_ref(job), json_member_text(job, "device"));
                if (r < 0)
                        return r;
        }
        return 0;
}

static struct jobs_page jobs_page_of(const struct call *call) {
        struct jobs_page page = { .states = json_child(call->params, "state"),
                                  .devices = json_child(call->params, "devices"),
                                  .after = call_text(call, "after"),
                                  .left = COMMAND_PAGE_DEFAULT };
        (void) json_member_int(call->params, "limit", 1, COMMAND_PAGE_MAX, &page.left);
        page.left++; /* one more tells that there is a next page */
        page.found = !page.after;
        return page;
}

void method_campaign_get(struct call *call) {
        _cleanup_json_ struct json *result = json_new_object(), *whole = NULL;
        struct jobs_page jobs = jobs_page_of(call);
        struct update_jobs_wanted wanted = { .wanted = page_wants_job, .ctx = &jobs };
        struct gw_error err = { 0 };
        struct page page;
        int r = result ? 0 : -ENOMEM;
        (void) json_member_bool(call->params, "steps", &wanted.steps);
        if (r >= 0)
                r = update_campaign_get(call->api->options.update, call_text(call, "id"), revision_of(call), &wanted, &whole, &err);
        if (r >= 0)
                r = json_set(result, "campaign", json_ref(json_child(whole, "campaign")));
        if (r >= 0)
                r = json_set(result, "document", json_ref(json_child(whole, "document")));
        if (r >= 0)
                r = page_begin(&page, call->params, result, "jobs");
        if (r >= 0)
                r = fill_jobs(json_child(whole, "jobs"), &page);
        if (r >= 0)
                r = page_finish(&page, result);
        if (r < 0)
                call_fail_errno(call, r, &err);
        else if (!jobs.found)
                call_fail_param(call, "params.after", "no job of this device in the campaign");
        else
                call_answer(call, TAKE_PTR(result));
}

void method_campaign_report(struct call *call) {
        struct json *report = NULL;
        struct gw_error err = { 0 };
        int r = update_campaign_report(call->api->options.update, call_text(call, "id"), revision_of(call), &report, &err);
        if (r >= 0)
                r = json_set_string(report, "gateway", call->api->options.gateway_id);
        if (r >= 0) {
                call_answer(call, report);
                return;
        }
        json_free(report);
        call_fail_errno(call, r, &err);
}

/* --- plan --- */

static int cut_plan(const struct call *call, const struct json *plan, struct json *result) {
        struct page page;
        int r = page_begin(&page, call->params, result, "devices");
        if (r < 0)
                return r;
        JSON_FOREACH_MEMBER(member, plan)
        if (strcmp(member.key, "devices") != 0)
                (void) json_set(result, member.key, json_ref(member.value));
        JSON_FOREACH_ITEM(i, entry, json_child(plan, "devices")) {
                if (!page_wants(&page))
                        break;
                r = page_add(&page, json_ref(entry), "");
                if (r < 0)
                        return r;
        }
        return page.more ? json_set_bool(result, "cut", true) : 0;
}

static void planned(void *ctx, struct json *plan, const struct gw_error *err, const struct json_errors *mistakes) {
        _cleanup_json_ struct json *result = NULL;
        struct call *call = ctx;
        int r;
        if (err) {
                call_fail(call, err, mistakes);
                return;
        }
        result = json_new_object();
        r = result ? cut_plan(call, plan, result) : -ENOMEM;
        if (r < 0)
                call_fail_errno(call, r, NULL);
        else
                call_answer(call, TAKE_PTR(result));
}

void method_campaign_plan(struct call *call) {
        struct update *update = call->api->options.update;
        const char *jws = call_text(call, "jws");
        call_started(call, jws ? update_campaign_plan_signed(update, jws, strlen(jws), planned, call)
                               : update_campaign_plan(update, json_child(call->params, "document"), planned, call));
}
