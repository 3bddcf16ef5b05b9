/* SPDX-License-Identifier: Apache-2.0 */
#include "signing.h"

#include "base/time.h"
#include "document/command_signed.h"
#include "session.h"
#include "sign.h"

#define COMMAND_VALID_S 300

/* --- who signs --- */

bool signing_has_key(const struct session *session) {
        return session_setting(session, "key") || session_setting(session, "external");
}

/* Made once: a token may ask for its PIN. */
static int get_signer(struct session *session, struct signer **ret_signer, struct failure *failure) {
        const struct signer_options options = {
                .key = session_setting(session, "key"),
                .external = session_setting(session, "external"),
                .pub = session_setting(session, "pub"),
                .kid = session_setting(session, "kid"),
        };
        int r = session->signer ? 0 : signer_new(&options, &session->signer, failure);

        *ret_signer = session->signer;
        return r;
}

int signing_campaign(struct session *session, const struct json *document, char **ret_jws, struct failure *failure) {
        struct signer *signer;
        int r = signing_has_key(session) ? get_signer(session, &signer, failure)
                                         : failure_set(failure, EXIT_CODE_USAGE, "signature-required",
                                                       "from far a campaign has to be signed: --key FILE signs it");

        return r < 0 ? r : signer_sign_json(signer, JWS_TYPE_CAMPAIGN, document, ret_jws, failure);
}

/* --- commands --- */

static int make_payload(const struct signing *signing, struct members *payload) {
        const struct sign_claims claims = { .now_s = time_now_wall_ms() / 1000, .valid_s = COMMAND_VALID_S, .with_jti = true };
        char claim[STR_GATEWAY_ID_MAX + sizeof "group:"];
        struct json *aud = json_new_array();

        members_text(payload, "schema", COMMAND_SIGNED_SCHEMA);
        members_text(payload, "method", signing->method->name);
        if (json_length(signing->params) > 0)
                members_json(payload, "params", json_ref(signing->params));
        audience_claim(&signing->session->audience, claim, sizeof claim);
        if (payload->error == 0 && aud)
                payload->error = json_append_string(aud, claim);
        members_json(payload, "aud", aud);
        return payload->error < 0 ? payload->error : sign_fill_claims(payload->json, &claims);
}

static int sign_params(void *ctx, struct json **ret_params, struct failure *failure) {
        struct signing *signing = ctx;
        _cleanup_members_ struct members payload = members_new(), params = members_new();
        _cleanup_free_ char *jws = NULL;
        struct signer *signer;
        int r = get_signer(signing->session, &signer, failure);

        if (r < 0)
                return r;
        r = make_payload(signing, &payload);
        if (r < 0)
                return failure_errno(failure, r);
        r = signer_sign_json(signer, JWS_TYPE_COMMAND, payload.json, &jws, failure);
        if (r < 0)
                return r;
        members_text(&params, "jws", jws);
        if (params.error < 0)
                return failure_errno(failure, params.error);
        *ret_params = TAKE_PTR(params.json);
        return 0;
}

/* What may stop work needs no signature, unless the gateway wants one; where there is a key it gets one. */
static bool is_to_be_signed(const struct session *session, const struct command_method *method) {
        if (!session_is_remote(session))
                return false;
        return method->right == COMMAND_RIGHT_WIDEN || (method->right == COMMAND_RIGHT_STOP && signing_has_key(session));
}

int signing_begin(struct signing *signing, struct session *session, const struct command_method *method, struct client_request *request,
                  struct failure *failure) {
        struct json *params = NULL;
        int r = 0;

        if (!is_to_be_signed(session, method))
                return 0;
        *signing = (struct signing){ .session = session, .method = method, .params = request->params };
        request->params = NULL;
        if (!signing_has_key(session))
                r = failure_set(failure, EXIT_CODE_USAGE, "signature-required", "from far %s has to be signed: --key FILE signs it",
                                method->name);
        if (r == 0)
                r = sign_params(signing, &params, failure);
        if (r < 0)
                return r;
        request->params = params;
        request->renew = sign_params;
        request->renew_ctx = signing;
        return 0;
}

void signing_end(struct signing *signing) {
        json_free(signing->params);
        signing->params = NULL;
}
