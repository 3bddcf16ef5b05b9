/* SPDX-License-Identifier: Apache-2.0 */
#include "signing.h"

#include "session.h"

int signing_begin(struct signing *signing, struct session *session, const struct command_method *method, struct client_request *request,
                  struct failure *failure) {
        (void) signing;
        if (!session_is_remote(session) || method->right != COMMAND_RIGHT_WIDEN)
                return 0;
        json_free(request->params);
        request->params = NULL;
        return failure_set(failure, EXIT_CODE_USAGE, "signature-required", "from far %s has to be signed: name a key with --key",
                           method->name);
}

bool signing_has_key(const struct session *session) {
        return session_setting(session, "key");
}

int signing_campaign(struct session *session, const struct json *document, char **ret_jws, struct failure *failure) {
        (void) session;
        (void) document;
        (void) ret_jws;
        return failure_set(failure, EXIT_CODE_USAGE, "signature-required", "from far a campaign has to be signed: name a key with --key");
}

void signing_end(struct signing *signing) {
        json_free(signing->params);
        signing->params = NULL;
}
