/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What every signed thing goes through, campaign or command: signature and JSON on a worker, then the claims that say for whom and when
 * it counts, and the scope of its key. Used by signed.c and, for commands, by api/.
 *
 *     bytes -> verification (worker) -> claims_judge() -> whoever knows what it means, or refusal_record()
 */

#include <stdint.h>

#include <gatewayd/plugin.h>

#include "base/json.h"
#include "base/json_errors.h"
#include "base/str_list.h"
#include "document/campaign.h"
#include "trust/jws.h"
#include "update/update.h"

#define VERIFY_BYTES_MAX (16u * 1024u * 1024u) /* of all that wait for their turn */
#define CLAIMS_SKEW_MAX_S 300                  /* a signer's clock may be so far ahead of ours */
#define CLAIMS_FRESH_S (24 * 3600)             /* a document may be so much older than the newest of its key, and than the store */

struct verification;

/* What came out; all of it lent until the callback returns. */
struct verified {
        const struct keyring_key *key; /* NULL: the signature is not good */
        struct keyring *keyring;       /* that lends it */
        const char *claimed;           /* the key that the header names; proves nothing. "" none */
        const uint8_t *digest;         /* DIGEST_SIZE bytes, of what was signed; NULL as key */
        const struct json *payload;    /* NULL as key, and where it is no JSON */
        const struct campaign_document *document; /* of a campaign, without mistakes; defaults are those of the design */
        const struct json_errors *mistakes;       /* go with document-invalid */
};

enum verification_kind {
        VERIFICATION_CAMPAIGN, /* JWS_TYPE_CAMPAIGN */
        VERIFICATION_COMMAND,  /* JWS_TYPE_COMMAND */
};

typedef void (*verification_done)(void *ctx, const struct verified *verified, const struct gw_error *err);

/*
 * Copies text. 0: `done` comes once, later; err NULL: it is good. < 0: it never comes; -EBUSY: too much waits already. ret_verification
 * may be NULL.
 */
int verification_start(struct update *update, enum verification_kind kind, const char *text, size_t size, verification_done done, void *ctx,
                       struct verification **ret_verification);
/* `done` will not come. NULL is fine; not after it came. */
void verification_cancel(struct verification *verification);

/* The claims of a payload. Times are NumericDate; nbf_s -1 none. */
struct claims {
        const struct str_list *aud;
        int64_t iat_s, nbf_s, exp_s;
};

/*
 * Does it count here and now? In this order: not-for-this-gateway, clock-not-credible, document-not-yet-valid, document-expired,
 * key-expired, key-scope (groups, audience). -EPERM with err.
 */
int claims_judge(struct update *update, const struct keyring_key *key, const struct claims *claims, struct gw_error *err);

/* key-scope. */
int scope_judge_driver(const struct keyring_key *key, const char *driver, struct gw_error *err);
/* Do the devices of an order lie within the drivers of the key's scope? They must be stated: by driver, or by ids. key-scope. */
int scope_judge_selector(const struct keyring_key *key, const struct campaign_selector *devices, struct gw_error *err);

/* As scope_judge_selector(), for the devices of a campaign that is there already; one that is not is left to whoever needs it. */
int scope_judge_campaign(struct update *update, const struct keyring_key *key, const char *id, struct gw_error *err);

/* Writes down that a signed command is carried out. (Of a campaign offer.c does, with all that is known then.) */
int acceptance_record(struct update *update, const char *door, const char *command, const struct verified *verified);

/*
 * Writes down that something signed was refused; its principal is the key where the signature was good, else what was claimed and that
 * it was not proven. A sender without end does not fill the disk: beyond some rows they are counted, and the next row tells how many.
 * Nothing is written for not-for-this-gateway: that is the business of another one.
 */
struct refusal {
        const char *door, *command;
        const struct verified *verified;
        const struct gw_error *err;
};
void refusal_record(struct update *update, const struct refusal *refusal);
