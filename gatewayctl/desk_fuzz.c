/* SPDX-License-Identifier: Apache-2.0 */

/* What a broker hands to gatewayctl: a topic, a line's end, the document of it. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gateways.h"
#include "topics.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        const uint8_t *newline = memchr(data, '\n', size);
        size_t topic_size = newline ? (size_t) (newline - data) : size;
        _cleanup_gateways_ struct gateways gateways = { 0 };
        struct transport_document document;
        char topic[TOPIC_SIZE], parts[TOPIC_SIZE];

        if (topic_size >= sizeof topic || memchr(data, '\0', topic_size))
                return 0;
        memcpy(topic, data, topic_size);
        topic[topic_size] = '\0';
        if (topic_read("gatewayd", topic, parts, &document) < 0 || document.kind != TRANSPORT_STATUS)
                return 0;
        if (newline)
                gateways_take(&gateways, document.of.name, (const char *) newline + 1, size - topic_size - 1);
        return 0;
}
