/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Inside of api/: documents about this gateway that stand somewhere until they are replaced (retained at a broker): status, one for each
 * campaign, one for each adopted device. Schemas: schemas/status.schema.json, report.schema.json, device-document.schema.json.
 */

#include "api/call.h"

#define DOCUMENTS_RUNNING_MAX 64 /* running jobs that a status shows */

struct documents_status {
        const char *instance; /* of the process */
        bool stopping;
};

/* Texts of JSON that the caller frees. */
int documents_status(struct api *api, const struct documents_status *status, char **ret_text, size_t *ret_size);
int documents_offline(const struct api *api, const char *instance, char **ret_text, size_t *ret_size);
/* The newest revision. -ENOENT: no such campaign (any more). */
int documents_campaign(struct api *api, const char *id, char **ret_text, size_t *ret_size);
/* -ENOENT: no such device, or it is not adopted. */
int documents_device(struct api *api, const char *id, char **ret_text, size_t *ret_size);
