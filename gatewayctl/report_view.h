/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Reports of one campaign (campaign.report) from one gateway or from many, for a person and for other programs. With many the failures are
 * put together: each error once, with its advice, and each device with its gateway. Pure.
 */

#include "base/json.h"
#include "text.h"

/* reports: an array of reports as gateways give them. */

/* Failures by error and the devices that were not seen; of many gateways first a line for each. */
int report_text(const struct json *reports, const struct style *style, struct strbuf *out);
/* The same as Markdown, with a heading and a table of the counts. */
int report_markdown(const struct json *reports, struct strbuf *out);

/*
 * jobs: an array of jobs as campaign.get gives them, each with "gateway" where there are many. A header and a line for each device
 * (RFC 4180). `gateway` stands where a job has none, `campaign` everywhere.
 */
int report_csv(const struct json *jobs, const char *campaign, const char *gateway, struct strbuf *out);
