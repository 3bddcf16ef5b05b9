/* SPDX-License-Identifier: Apache-2.0 */

/* What a web server may answer in place of a list of campaigns. */

#include "document/campaign_list.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_campaign_list_ struct campaign_list *list = NULL;
        struct json_errors errors;
        int r;

        json_errors_init(&errors);
        r = campaign_list_parse((const char *) data, size, &list, &errors);
        if (r == -EBADMSG && !json_errors_any(&errors))
                abort();
        for (size_t i = 0; r == 0 && i < campaign_list_count(list); i++)
                if (!campaign_list_at(list, i))
                        abort();
        return 0;
}
