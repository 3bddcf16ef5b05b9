/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Every limit on what a peer controls, in one place: documents, replies, files, lines, frames. A new parser of foreign bytes
 * adds its limit here (plugins keep theirs in plugins/common/limits.h, as they may not include this floor's users).
 */

#define LIMIT_KIB (1024u)
#define LIMIT_MIB (1024u * 1024u)

/* --- JSON --- */
#define JSON_SIZE_MAX LIMIT_MIB /* a document or command, bytes */
#define JSON_DEPTH_MAX 16       /* containers in containers */
#define JSON_PATH_MAX 128       /* path of a mistake, with terminator */
#define JSON_ERROR_TEXT_MAX 192 /* text of a mistake, with terminator */
#define JSON_ERRORS_MAX 32      /* mistakes kept of one document */

/* --- log --- */
#define LOG_TEXT_MAX 2048 /* one message, with terminator */

/* --- configuration (a person writes it, a mistake must not cost the machine) --- */
#define CONFIG_FILE_MAX LIMIT_MIB
#define CONFIG_LINE_MAX 4096
#define CONFIG_SECTIONS_MAX 512
#define CONFIG_KEYS_MAX 4096
#define CONFIG_ERRORS_MAX 64
#define CONFIG_LIST_MAX 256 /* entries of one list */

/* --- maintenance windows and time zones --- */
#define TIME_WINDOWS_MAX 32                 /* of the gateway, or of one campaign */
#define TIME_WINDOW_DURATION_MAX_MIN 10080 /* a week */
#define TIME_ZONE_NAME_MAX 64
#define TIME_ZONE_FILE_MAX (64u * LIMIT_KIB)
#define TIME_ZONE_TRANSITIONS_MAX 2000
#define TIME_ZONES_MAX 1024 /* that one process keeps in memory */

/* --- control socket --- */
#define CONTROL_CLIENTS_MAX 32
#define CONTROL_READERS_MAX 16 /* of those: who may not command must not keep out who may */
#define CONTROL_LINE_MAX JSON_SIZE_MAX
#define CONTROL_OUTPUT_MAX (4u * LIMIT_MIB) /* unsent bytes of one client before it is cut off */

/* --- devices --- */
#define DEVICES_MAX 10000 /* discovered and adopted */
#define DEVICE_LABELS_MAX 32
#define DEVICE_TARGETS_MAX 256
#define DEVICE_ATTRIBUTE_MAX 256 /* any text that a device says about itself */
#define DEVICE_IMPORT_FILE_MAX (4u * LIMIT_MIB)

/* --- artifacts --- */
#define ARTIFACT_REDIRECTS_MAX 3
#define ARTIFACT_HEADER_MAX (16u * LIMIT_KIB) /* all response headers together */
#define ARTIFACT_PARTS_MAX 16

/* --- jobs --- */
#define JOB_BLOB_MAX 4096
#define JOB_STEPS_MAX 32
#define JOBS_RUNNING_MAX 10000

/* --- events --- */
#define EVENTS_KEPT_MAX 10000
#define CAMPAIGNS_KEPT_MAX 500          /* finished ones with their jobs, newest first; older ones are deleted */
