/* SPDX-License-Identifier: Apache-2.0 */

/* A TZif file of any bytes: the stretches of time follow each other without a hole, and every local time has an instant. */

#include <stdlib.h>

#include "base/time_zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static const int64_t instants[] = {-((int64_t) 1 << 40), -1, 0, 1774746000, 1793930400, (int64_t) 1 << 37, (int64_t) 1 << 40};
        _cleanup_time_zone_ struct time_zone *zone = NULL;

        if (time_zone_parse(data, size, &zone) < 0)
                return 0;
        for (size_t i = 0; i < ARRAY_SIZE(instants); i++) {
                struct time_zone_span span = time_zone_span(zone, instants[i]);

                if (span.from_s > instants[i] || span.to_s <= instants[i])
                        abort();
                if (span.to_s != INT64_MAX && time_zone_span(zone, span.to_s).from_s != span.to_s)
                        abort();
                /* The instant itself or an earlier one at which the clocks showed the same. */
                if (time_zone_from_local(zone, instants[i] + span.offset_s) > instants[i])
                        abort();
        }
        return 0;
}
