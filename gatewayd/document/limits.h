/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Every limit on campaign documents and commands that goes beyond the general ones for JSON (base/limits.h). The schemas in schemas/
 * carry the same numbers (tests/schemas holds the two against each other). Lengths of text are counted in characters
 * (code points) without a terminator.
 */

#define CAMPAIGN_ARTIFACTS_MAX 16
#define CAMPAIGN_COMPATIBLE_MAX 16 /* models of one artifact */
#define CAMPAIGN_IDS_MAX 10000     /* devices.ids */
#define CAMPAIGN_LABELS_MAX 32
#define CAMPAIGN_DRIVERS_MAX 32
#define CAMPAIGN_AUDIENCE_MAX 256
#define CAMPAIGN_COMMENT_MAX 512
#define CAMPAIGN_NAME_MAX 128 /* the glob devices.name */
#define CAMPAIGN_URL_MAX 2048
#define CAMPAIGN_VERSION_MAX 47       /* version of an artifact */
#define CAMPAIGN_VERSION_RULE_MAX 256 /* devices.version */
#define CAMPAIGN_VERSION_COMPARISONS_MAX 8
#define CAMPAIGN_REVISION_MAX 2147483647
#define CAMPAIGN_ARTIFACT_SIZE_MAX 17179869184 /* 16 GiB */
#define CAMPAIGN_IMAGE_MAX 15
#define CAMPAIGN_TIME_MAX_S 253402300799 /* the last second of the year 9999 */
#define CAMPAIGN_EXP_MAX_S 7776000       /* exp at most 90 days behind iat */

#define CAMPAIGN_WAVES_MAX 32
#define CAMPAIGN_COUNT_MAX 100000   /* devices, in a wave or a threshold */
#define CAMPAIGN_SOAK_MAX_S 2592000 /* 30 days */
#define CAMPAIGN_START_JITTER_MAX_S 86400
#define CAMPAIGN_RSSI_MIN_DBM (-127)
#define CAMPAIGN_RSSI_MAX_DBM 20
#define CAMPAIGN_TRIAL_MAX_S 86400
#define CAMPAIGN_TRIAL_CHECKS_MAX 100
#define CAMPAIGN_CONCURRENCY_MAX 1000
#define CAMPAIGN_ATTEMPTS_MAX 100
#define CAMPAIGN_DEADLINE_DEFAULT_MS (14ll * 24 * 3600 * 1000)
#define CAMPAIGN_DEADLINE_MAX_MS (180ll * 24 * 3600 * 1000) /* after acceptance */

#define JWS_SIZE_MAX 1000000              /* characters of a signed campaign or command: it must fit into a request */
#define COMMAND_SIGNED_MAX_S 600          /* exp of a signed command at most so far behind its iat */
#define CAMPAIGN_LIST_MAX 100             /* signed campaigns in one list of the HTTPS door */
#define COMMAND_ID_MAX 128                /* characters of a request's id, where it is a text */
#define JSON_INTEGER_MAX 9007199254740991 /* 2^53 - 1: every JSON reader can hold it */
#define COMMAND_CSV_MAX 1000000           /* characters of a device list within one request */
#define COMMAND_DEVICES_MAX 10000         /* devices named in one request */
#define COMMAND_FILE_NAME_MAX 255
#define JSON_REPLY_MAX (16 * 1024 * 1024) /* bytes of one reply, as a client reads it */
#define COMMAND_PAGE_MAX 1000             /* rows of one answer */
#define COMMAND_PAGE_DEFAULT 200

#define DEVICE_NAME_MAX 128 /* what a person calls it */
#define DEVICE_ADDRESS_MAX 256
