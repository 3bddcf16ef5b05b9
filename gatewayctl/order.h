/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * From a campaign document to its end: plan, question, start, progress, results. What `update`, `rollback` and `campaign start` have in
 * common.
 */

#include "order_file.h"
#include "session.h"

#define ORDER_ID_SIZE (STR_ID_MAX + 1)

/* "local-20261205T140307-3f9a1c2e" (prefix "local"): unique, and sorts by time. */
int order_id(const char *prefix, int64_t now_wall_ms, char ret_id[static ORDER_ID_SIZE]);

struct order {
        const struct json *document;
        struct order_file *file;    /* what was signed, if anything was; NULL: document goes as it is */
        const struct json *package; /* of artifact.import; NULL */
        const char *title;          /* of the plan; NULL: the document's id */
        bool all;                   /* the plan shows the devices that are not selected, too */
        const char *stated_device;  /* the one device that the person named: starting may state that the file fits it; NULL: none */
};

/* The exit code, or negative. Options of the verb: yes, dry-run, no-wait. */
int order_run(struct session *session, const struct order *order, struct failure *failure);

/* Only the plan. */
int order_plan(struct session *session, const struct order *order, struct failure *failure);

/* A new local document with id, revision, schema and comment (NULL: none), and the members of policy that the verb's options give. */
int order_document_begin(struct session *session, const char *comment, struct members *document, struct failure *failure);
