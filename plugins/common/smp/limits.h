/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Every limit of the SMP engine: what a peer controls is bounded here, and the times and counts of the protocol's client rules
 * stand here once.
 */

/* Sizes. */
#define SMP_HEADER_SIZE 8
#define SMP_MESSAGE_MAX 16384         /* bytes of one message with its header, whatever a device claims */
#define SMP_MESSAGE_DEFAULT 384       /* a device that does not tell its buffer size (Zephyr's smallest default) */
#define SMP_MESSAGE_FALLBACK 244      /* for a device that is silent to large ones: one write at the usual ATT MTU of 247 */
#define SMP_UDP_MESSAGE_MAX 1472      /* servers do not reassemble IP fragments */
#define SMP_RECEIVE_MAX 16384         /* bytes of one answer */
#define SMP_RSN_MAX 96                /* text of a refusal with its NUL */
#define SMP_CONSOLE_LINE_MAX 127      /* what we send: 2 marker bytes, 124 characters, line feed */
#define SMP_CONSOLE_LINE_ACCEPTED 512 /* longest line that is looked at; longer ones are skipped as noise */
#define SMP_CONSOLE_FRAMING 4         /* bytes that the framing takes of a device's buf_size: length and CRC */

/* Requests in flight. */
#define SMP_WINDOW_MAX 24
#define SMP_FLIGHTS_MAX 64 /* of one client, with late ones whose answer may still come */

/* Times in ms. */
#define SMP_TIMEOUT_MS 2500u
#define SMP_TIMEOUT_STATE_MS 5000u
#define SMP_TIMEOUT_SLOT_INFO_MS 5000u
#define SMP_TIMEOUT_FIRST_CHUNK_MS 40000u     /* then something short is asked: whoever erases answers that neither */
#define SMP_TIMEOUT_FIRST_CHUNK_MAX_MS 90000u /* a large slot in external flash */
#define SMP_TIMEOUT_FIRST_AGAIN_MS 5000u      /* after the short question was answered, when a repetition does no harm */
#define SMP_TIMEOUT_LAST_CHUNK_MS 20000u
#define SMP_TIMEOUT_ERASE_MS 75000u
#define SMP_RTO_MINIMUM_MS 60u
#define SMP_STOP_GRACE_MS 1500u /* how long a stopped upload waits for answers that are under way */

/* Counts. */
#define SMP_RESENDS 2            /* of an ordinary request */
#define SMP_CHUNK_SILENCES_MAX 5 /* timeouts of one chunk in a row */
#define SMP_CHUNK_REPEATS_MAX 16 /* sendings of one chunk to a device that answers but does not take it */
#define SMP_RESTARTS_MAX 3       /* times that a device may ask for the upload from its start */
