/* SPDX-License-Identifier: Apache-2.0 */
#include "api/door_https.h"

#include <stdlib.h>

#include "api/door_https_internal.h"
#include "base/backoff.h"
#include "base/str.h"
#include "trust/secrets.h"

/* --- one request --- */

bool https_clock_is_credible(const struct https_side *side) {
        const struct api_options *options = &side->door->api->options;
        return !str_equal(options->clock_state(options->ctx), "not-credible");
}

int https_start(struct https_side *side, struct http_request *request, const struct http_handler *handler, void *ctx,
                struct http_transfer **ret_transfer, struct gw_error *err) {
        const struct settings *settings = side->door->settings;
        _cleanup_secrets_ struct secrets secrets;
        int r = secrets_read(&settings->https.credentials, &secrets, err);
        if (r < 0)
                return r;
        request->use = "https";
        request->ca_file = settings->trust.ca_file[0] ? settings->trust.ca_file : NULL;
        request->total_timeout_ms = HTTPS_ANSWER_TIMEOUT_MS;
        /* The server was named by whoever set the gateway up, and often stands in his own network. */
        request->allow_private = request->private_at_home_only = true;
        secrets_apply(&settings->https.credentials, &secrets, request);
        side->asked = request->url;
        side->status = 0;
        side->retry_after_ms = -1;
        r = http_start(side->door->api->options.http, request, handler, ctx, ret_transfer);
        if (r == -EINVAL)
                gw_error_set(err, "url-invalid", "%s cannot be used", request->url);
        return r;
}

void https_note_response(struct https_side *side, const struct http_response *response) {
        side->status = response->status;
        side->retry_after_ms = response->retry_after_ms;
}

int https_judge(const struct https_side *side, int also, struct gw_error *err) {
        static const struct {
                int first, last;
                const char *name;
        } refusals[] = {
                { 401, 401, "door-forbidden" }, { 403, 403, "door-forbidden" }, { 408, 408, "server-busy" },  { 425, 425, "server-busy" },
                { 429, 429, "server-busy" },    { 503, 503, "server-busy" },    { 300, 499, "door-refused" }, { 500, 599, "server-error" },
        };
        const char *name = "protocol-error";
        if ((side->status >= 200 && side->status < 300) || side->status == also)
                return 0;
        for (size_t i = ARRAY_SIZE(refusals); i-- > 0;)
                if (side->status >= refusals[i].first && side->status <= refusals[i].last)
                        name = refusals[i].name;
        gw_error_set(err, name, "%s: status %d", side->asked, side->status);
        return -EREMOTEIO;
}

/* --- how it gets on --- */

void https_failed(struct https_side *side, const struct gw_error *err) {
        side->n_failures++;
        if (!str_equal(side->error.name, err->name))
                log_warning(&(struct log_fields){ .error = err->name }, "https door, %s: %s", side->part, err->text);
        side->error = *err;
}

void https_worked(struct https_side *side) {
        if (gw_error_is_set(&side->error))
                log_notice(NULL, "https door, %s: works again after %u failures", side->part, side->n_failures);
        side->error = (struct gw_error){ 0 };
        side->n_failures = 0;
        side->ok_ms = api_wall_ms(side->door->api);
}

/* Nobody comes back before the server wants it, and not all at once then. */
int64_t https_retry_ms(const struct https_side *side) {
        int64_t jitter_ms = backoff_ms(MAX(side->n_failures, 1u), HTTPS_RETRY_FIRST_MS, HTTPS_RETRY_MAX_MS, backoff_random());
        int64_t asked_ms = MIN(side->retry_after_ms, (int64_t) HTTPS_RETRY_AFTER_MAX_MS);
        return asked_ms >= 0 ? asked_ms + MIN(jitter_ms, asked_ms / 4) : jitter_ms + 1;
}

/* --- life --- */

int door_https_new(struct api *api, struct door_https **ret_door) {
        const struct settings *settings = api->options.settings;
        struct door_https *door;
        int r = 0;
        *ret_door = NULL;
        if (!settings->https.url[0] && !settings->https.events_url[0])
                return 0;
        door = calloc(1, sizeof *door);
        if (!door)
                return -ENOMEM;
        door->api = api;
        door->settings = settings;
        if (settings->https.url[0])
                r = https_lists_new(door, &door->lists);
        if (r >= 0 && settings->https.events_url[0])
                r = https_events_new(door, &door->events);
        if (r < 0) {
                door_https_free(door);
                return r;
        }
        *ret_door = door;
        return 0;
}

void door_https_stop(struct door_https *door) {
        if (!door)
                return;
        door->stopping = true;
        https_lists_stop(door->lists);
        https_events_stop(door->events);
}

void door_https_free(struct door_https *door) {
        if (!door)
                return;
        https_lists_free(door->lists);
        https_events_free(door->events);
        free(door);
}

void door_https_renew(struct door_https *door) {
        if (door && !door->stopping)
                https_lists_renew(door->lists);
}

static void tell_state(const struct https_side *side, void (*each)(void *ctx, const struct door_https_state *state), void *ctx) {
        each(ctx, &(struct door_https_state){
                          .part = side->part, .url = side->url, .error = gw_error_is_set(&side->error) ? &side->error : NULL, .ok_ms = side->ok_ms });
}

void door_https_each(const struct door_https *door, void (*each)(void *ctx, const struct door_https_state *state), void *ctx) {
        if (door && door->lists)
                tell_state(https_lists_side(door->lists), each, ctx);
        if (door && door->events)
                tell_state(https_events_side(door->events), each, ctx);
}
