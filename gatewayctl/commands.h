/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The commands, one file a group, and the one table of them. Each prints its result, as a table or as JSON, and gives the exit code;
 * or negative with failure, which main() prints.
 */

#include <stdint.h>

#include "session.h"

extern const struct verb verbs[]; /* ends with words == NULL; verbs.c */

/* update.c */
int run_update(struct session *session, struct failure *failure);
int run_rollback(struct session *session, struct failure *failure);

/* device.c */
int run_device_list(struct session *session, struct failure *failure);
int run_device_get(struct session *session, struct failure *failure);
int run_device_scan(struct session *session, struct failure *failure);
int run_device_adopt(struct session *session, struct failure *failure);
int run_device_set(struct session *session, struct failure *failure);
int run_device_forget(struct session *session, struct failure *failure);
int run_device_pair(struct session *session, struct failure *failure);
int run_device_unpair(struct session *session, struct failure *failure);
int run_device_bonds(struct session *session, struct failure *failure);
int run_device_import(struct session *session, struct failure *failure);
int run_device_diagnose(struct session *session, struct failure *failure);

/* campaign.c */
int run_jobs(struct session *session, struct failure *failure);
int run_campaign_list(struct session *session, struct failure *failure);
int run_campaign_get(struct session *session, struct failure *failure);
int run_campaign_plan(struct session *session, struct failure *failure);
int run_campaign_start(struct session *session, struct failure *failure);
int run_pause(struct session *session, struct failure *failure);
int run_resume(struct session *session, struct failure *failure);
int run_cancel(struct session *session, struct failure *failure);
int run_retry(struct session *session, struct failure *failure);
int run_continue(struct session *session, struct failure *failure);
int run_campaign_rollback(struct session *session, struct failure *failure);

/* publish.c: through a broker only */
int run_publish(struct session *session, struct failure *failure);
int run_unpublish(struct session *session, struct failure *failure);

/* gateway_list.c: through a broker only */
int run_gateways(struct session *session, struct failure *failure);
int gateways_print(struct session *session, struct failure *failure);

/* profiles.c: without a daemon */
int run_profile_list(struct session *session, struct failure *failure);
int run_profile_show(struct session *session, struct failure *failure);

/* campaign_new.c, campaign_check.c, campaign_show.c: without a daemon */
int run_campaign_new(struct session *session, struct failure *failure);
int run_campaign_check(struct session *session, struct failure *failure);
int run_campaign_show(struct session *session, struct failure *failure);

/* campaign_report.c, campaign_wait.c */
int run_campaign_report(struct session *session, struct failure *failure);
int run_campaign_wait(struct session *session, struct failure *failure);

/* watch.c */
int run_watch(struct session *session, struct failure *failure);

/* artifact.c */
int run_artifact_list(struct session *session, struct failure *failure);
int run_artifact_import(struct session *session, struct failure *failure);
int run_artifact_remove(struct session *session, struct failure *failure);

/* package.c: without a daemon */
int run_package_inspect(struct session *session, struct failure *failure);

/* gateway.c */
int run_gateway_info(struct session *session, struct failure *failure);
int run_gateway_health(struct session *session, struct failure *failure);
int run_gateway_reload(struct session *session, struct failure *failure);

/* keygen.c, sign.c, keys.c: without a daemon */
int run_keygen(struct session *session, struct failure *failure);
int run_sign(struct session *session, struct failure *failure);
int run_keys_list(struct session *session, struct failure *failure);

/* doctor.c */
int run_doctor(struct session *session, struct failure *failure);

/* audit.c */
int run_audit(struct session *session, struct failure *failure);
int run_audit_verify(struct session *session, struct failure *failure);

/* errors.c: without a daemon */
int run_errors(struct session *session, struct failure *failure);

/* help.c, complete.c: without a daemon, or hardly */
int run_help(struct session *session, struct failure *failure);
int run_complete(struct session *session, struct failure *failure);

/* --- shared by the groups --- */

/* Id, state, comment, who, when, how many: the lines above a campaign's jobs. campaign.c */
void campaign_head(const struct json *campaign, struct strbuf *out);
/* A regular file, opened for reading. Err: file-unreadable. */
int file_open(const char *path, int *ret_fd, uint64_t *ret_size, struct failure *failure);
/* The whole of a file ("-": standard input) of at most size_max bytes; the caller frees. Err: file-unreadable, file-too-large. */
int file_read(const char *path, size_t size_max, char **ret_text, size_t *ret_size, struct failure *failure);
const char *file_name(const char *path);
/* A firmware file, opened; with keys it must be signed by one of them. */
struct package_file {
        const char *path;
        int fd;
        uint64_t size;
        const struct gw_public_key *keys;
        size_t n_keys;
};
/* What the readers of formats say of it; formats_release() then. */
int package_read(const struct package_file *file, struct gw_package *package, struct failure *failure);
/* artifact.import of this file. */
int artifact_import(struct session *session, const char *path, struct json **ret_result, struct failure *failure);

/* The help of one command, of a group ("device"), or of all (""). */
int help_render(const struct verb *verb, const char *group, const struct style *style, struct strbuf *out);
