/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Being there while a campaign works: progress before the person's eyes until it is over. The daemon does the work, this only looks:
 * it survives a restart of the daemon, and ends whenever the person wants.
 */

#include "session.h"

#define FOLLOW_RECONNECT_MS (60 * 1000) /* how long a daemon that went away is waited for */
#define FOLLOW_RETRY_MS 500

struct follow;

/* Listens for the campaign's news from now on, so that nothing of it is missed. Quiet where the session writes JSON. */
int follow_begin(struct session *session, const char *campaign, struct follow **ret_follow, struct failure *failure);
void follow_free(struct follow *follow);
DEFINE_CLEANUP(struct follow *, follow_free);
#define _cleanup_follow_ _cleanup_(follow_freep)

/* A pause ends follow_run() like an end: nothing more happens by itself. */
void follow_stop_when_paused(struct follow *follow);

/*
 * Until the campaign is over (of several gateways: on all that have a device for it, as soon as one has): its campaign.get with all jobs. EXIT_CODE_UNFINISHED with `interrupted` or `not-finished-in-time`,
 * whose text says how to look again.
 */
int follow_run(struct follow *follow, struct json **ret_campaign, struct failure *failure);

/* Prints the results of what follow_run() gave (or its JSON); the exit code. */
int follow_report(struct session *session, const struct json *campaign, struct failure *failure);
