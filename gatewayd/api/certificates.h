/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Inside of api/: until when certificates hold, those of servers that were connected to and our own. They stand in gateway.health (and so
 * in the status document) and in gateway.diagnose; one that will not hold much longer is a problem there, and is warned about in the log.
 */

#include "api/call.h"
#include "trust/tls.h"

/* At the start, after a reload, once an hour: reads our own, warns once a day of each that expires within certificate_warning. */
void certificates_upkeep(struct api *api);

/* One certificate with what is wrong with it: error empty = nothing. */
struct certificate_view {
        const struct tls_certificate *certificate;
        int64_t days_left;
        struct gw_error error;
};
void certificates_each(const struct api_options *options, void (*each)(void *ctx, const struct certificate_view *view), void *ctx);
/* {use, peer, own, not_after?, days_left?, error?} */
void certificate_describe(const struct certificate_view *view, struct json *json);
