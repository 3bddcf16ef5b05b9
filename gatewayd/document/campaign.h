/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The campaign document: an order, read and checked with all mistakes at once. Immutable after parsing. It knows neither the store nor
 * the loop, nor whether its devices and files exist. Two origins with one grammar: a local document (control socket, whose peer
 * is the authority) may leave out `aud`, `iat`, `exp`, the artifacts' `url` and `compatible`, and may ask for `rollback`; the
 * payload of a signed one may not.
 *
 * What the schema (schemas/campaign.schema.json) cannot say and is checked here alone is listed in schemas/README.md.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gatewayd/plugin.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/json_errors.h"
#include "base/str_list.h"
#include "base/time_window.h"
#include "document/limits.h"
#include "document/names.h"
#include "document/version.h"

#define CAMPAIGN_SCHEMA "gatewayd/campaign/1"

enum campaign_origin {
        CAMPAIGN_ORIGIN_LOCAL,
        CAMPAIGN_ORIGIN_SIGNED,
};

struct campaign_artifact {
        char *url; /* https; NULL: the file was imported */
        uint64_t size;
        uint8_t sha256[32];
        char *format;               /* NULL: recognised by its bytes */
        char *version;              /* NULL: the file's own counts */
        int image;                  /* image number of the device; -1: as the file says */
        struct str_list compatible; /* models; empty only in a local document */
};

/* Which devices: members are ANDed, an absent one is no restriction. */
struct campaign_selector {
        bool all;
        struct str_list ids;     /* sorted by strcmp; ask campaign_selector_has_id() */
        struct str_list labels;  /* a device must have all of them */
        struct str_list drivers; /* any of them */
        char *name;              /* glob; NULL = no restriction */
        char *version;           /* as written; NULL = no restriction */
        struct version_rule version_rule;
        int rssi_min_dbm; /* GW_RSSI_UNKNOWN = no restriction; does not bind devices that have none */
        char *updated_by; /* a campaign that updated the device; NULL = no restriction */
};

/* Exactly one of the two is not 0. A share is cumulative: it holds the devices of the waves before it. */
struct campaign_wave {
        uint32_t count;
        uint32_t percent; /* of the population, rounded up */
};

/* Whichever is met first; percent of finished = succeeded (without `already`) + failed, once min_finished of them are. */
struct campaign_abort {
        uint32_t failed_count;
        uint32_t failed_percent;
        uint32_t min_finished;
        enum campaign_abort_action action;
};

struct campaign_policy {
        enum gw_mode mode;
        int64_t trial_ms;
        uint32_t trial_checks;
        struct campaign_wave waves[CAMPAIGN_WAVES_MAX]; /* as written; ask campaign_waves() and campaign_wave_end() */
        size_t n_waves;
        int64_t soak_ms; /* between the end of a wave and the start of the next */
        enum campaign_gate gate;
        struct campaign_abort abort;
        struct time_window *windows; /* of this object; none: always */
        size_t n_windows;
        enum campaign_window_end at_window_end;
        int64_t start_jitter_ms; /* the longest wait before the start */
        int64_t deadline_ms;     /* wall clock; 0: the document names none, see campaign_deadline() */
        uint32_t concurrency;
        uint32_t attempts; /* a job */
        bool allow_downgrade;
        int battery_min_percent; /* -1: no rule; does not bind devices that have no battery */
};

struct campaign_document {
        char *id;
        uint32_t revision;           /* 1.. */
        char *comment;               /* NULL */
        char *iss;                   /* NULL */
        struct str_list aud;         /* gateway globs and group:<name>; empty where absent */
        int64_t iat_s, nbf_s, exp_s; /* NumericDate; -1 where absent */
        struct campaign_artifact *artifacts;
        size_t n_artifacts; /* 0 only with rollback and rollback_of */
        struct campaign_selector devices;
        struct campaign_policy policy;
        bool rollback;     /* "rollback": "other-slot": each device goes back to the image in its other slot */
        char *rollback_of; /* each device goes back to what it ran before this campaign updated it; NULL */
};

/*
 * What the design says where document and configuration say nothing. No waves and start_jitter_ms -1 here mean: by origin, that is one
 * wave at once for a local document (and for any that takes back), 2, 25 %, 100 % and 300 s for a signed one.
 */
extern const struct campaign_policy campaign_policy_default;

struct campaign_parse_options {
        enum campaign_origin origin;
        const struct campaign_policy *defaults; /* for absent members of policy, without windows; NULL: campaign_policy_default */
};

/*
 * 0; -EBADMSG: there are mistakes, all of them in errors (path "" for what is no JSON at all; errors may be NULL); -ENOMEM.
 * options NULL: a local document with the defaults of the design. *ret_document is freed with campaign_document_free().
 */
int campaign_document_parse(const char *text, size_t size, const struct campaign_parse_options *options,
                            struct campaign_document **ret_document, struct json_errors *errors);
/* The same from a tree that json_parse() made; paths begin with `path` ("" or "params.document"). */
int campaign_document_read(const struct json *json, const char *path, const struct campaign_parse_options *options,
                           struct campaign_document **ret_document, struct json_errors *errors);

void campaign_document_free(struct campaign_document *document);
DEFINE_CLEANUP(struct campaign_document *, campaign_document_free);
#define _cleanup_campaign_document_ _cleanup_(campaign_document_freep)

/*
 * The document with every default written out, so that reading it again does not depend on a configuration: what the store keeps of
 * running work, and what replies show. -ENOMEM.
 */
int campaign_document_write(const struct campaign_document *document, struct json **ret_json);

/*
 * When the work of a document accepted at accepted_ms ends. default_ms (a duration) applies where policy.deadline is absent.
 * -ERANGE with err `document-invalid` when the document's own deadline is not behind accepted_ms or over
 * CAMPAIGN_DEADLINE_MAX_MS behind it.
 */
int campaign_deadline(const struct campaign_document *document, int64_t accepted_ms, int64_t default_ms, int64_t *ret_deadline_ms,
                      struct gw_error *err);

/* How many waves there are: those that are written, and one more where the last of them is not 100 %. */
size_t campaign_waves(const struct campaign_policy *policy);
/* How many of `population` devices are in the waves 0..wave together; never less than in the ones before, all of them in the last. */
size_t campaign_wave_end(const struct campaign_policy *policy, size_t wave, size_t population);

bool campaign_selector_has_id(const struct campaign_selector *selector, const char *id);
/* Does it name exactly one device by its id? Such an order is a person's statement about that device's hardware. */
bool campaign_names_one_device(const struct campaign_document *document);

/* The first artifact that lists this model. NULL: none does. Artifacts without `compatible` are not found here. */
const struct campaign_artifact *campaign_artifact_for_model(const struct campaign_document *document, const char *model);

/* One entry of an `aud`: group:<name>, or a glob on gateway ids. */
bool campaign_audience_entry_match(const char *entry, const char *gateway_id, const struct str_list *groups);
/* Is this gateway meant? An empty `aud` means every one that got the document. */
bool campaign_audience_match(const struct campaign_document *document, const char *gateway_id, const struct str_list *groups);
