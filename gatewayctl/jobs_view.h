/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Jobs for a person: the table of those that run, the results of those that ended with what leads to the repair. `jobs` is an array
 * of jobs as campaign.get gives them; members "campaign" and "gateway" that somebody added are shown where they are there.
 */

#include "base/json.h"
#include "progress.h"
#include "text.h"

/* Device, state, step, result. */
int jobs_render(const struct json *jobs, const struct style *style, struct strbuf *out);
/* One line a device: result and proof, or error; then the texts of the errors, each advice once; then the sum. */
int results_render(const struct json *jobs, const struct style *style, struct strbuf *out);
/* How many did not succeed. */
size_t jobs_without_success(const struct json *jobs);

/* A job, or the data of a job-state, job-result or progress message, as a line of progress. Texts are lent by the message; outcome
 * is written into `outcome`. `final` states become SUCCEEDED or FAILED. */
#define OUTCOME_SIZE 128
void job_progress(const struct json *message, struct progress_state *state, char outcome[static OUTCOME_SIZE]);
/* "updated, proof hash-active-confirmed", "failed: smp-swap-refused". */
void job_outcome(const struct json *job, char outcome[static OUTCOME_SIZE]);
