/* SPDX-License-Identifier: Apache-2.0 */

/* A campaign document of any bytes, as both origins. What was accepted is written out and must be accepted again. */

#include "document/campaign.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const uint8_t *data, size_t size, enum campaign_origin origin) {
        const struct campaign_parse_options options = {.origin = origin};
        _cleanup_campaign_document_ struct campaign_document *document = NULL, *again = NULL;
        _cleanup_json_ struct json *json = NULL;
        struct json_errors errors;

        json_errors_init(&errors);
        if (campaign_document_parse((const char *) data, size, &options, &document, &errors) < 0) {
                if (!json_errors_any(&errors))
                        abort();
                return;
        }
        if (campaign_document_write(document, &json) < 0 || campaign_document_read(json, "", &options, &again, NULL) < 0)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        check(data, size, CAMPAIGN_ORIGIN_LOCAL);
        check(data, size, CAMPAIGN_ORIGIN_SIGNED);
        return 0;
}
