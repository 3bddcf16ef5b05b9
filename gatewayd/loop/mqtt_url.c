/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include <mosquitto.h>

#include "base/str.h"
#include "loop/mqtt.h"

#define PORT_TLS 8883
#define PORT_PLAIN 1883

bool mqtt_topic_matches(const char *filter, const char *topic) {
        bool matches = false;
        return mosquitto_topic_matches_sub(filter, topic, &matches) == MOSQ_ERR_SUCCESS && matches;
}

static bool is_loopback(const char *host) {
        struct in_addr v4;
        struct in6_addr v6;
        if (strcmp(host, "localhost") == 0)
                return true;
        if (inet_pton(AF_INET, host, &v4) == 1)
                return (ntohl(v4.s_addr) >> 24) == 127;
        return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/* host, [address]; what follows is left in *ret_rest. */
static int take_host(const char *text, struct mqtt_url *url, const char **ret_rest) {
        const char *end = text[0] == '[' ? strchr(text, ']') : text + strcspn(text, ":/");
        size_t skip = text[0] == '[' ? 1 : 0;
        if (!end || end == text + skip || (size_t) (end - text) > sizeof url->host)
                return -EINVAL;
        *ret_rest = end + skip;
        return str_copy_n(url->host, sizeof url->host, text + skip, (size_t) (end - text) - skip);
}

static bool is_host(const char *host) {
        return strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:%") == strlen(host);
}

static int parse(const char *text, struct mqtt_url *url) {
        char port_text[8];
        const char *rest;
        uint64_t port;
        size_t size;
        int r;
        if (str_starts_with(text, "mqtts://"))
                url->tls = true;
        else if (!str_starts_with(text, "mqtt://"))
                return -EINVAL;
        r = take_host(strchr(text, '/') + 2, url, &rest);
        if (r < 0 || !is_host(url->host))
                return -EINVAL;
        url->port = url->tls ? PORT_TLS : PORT_PLAIN;
        if (rest[0] == ':') {
                size = strcspn(++rest, "/");
                if (str_copy_n(port_text, sizeof port_text, rest, size) < 0 || str_parse_uint64(port_text, 1, UINT16_MAX, &port) < 0)
                        return -EINVAL;
                url->port = (uint16_t) port;
                rest += size;
        }
        return rest[0] == '\0' || strcmp(rest, "/") == 0 ? 0 : -EINVAL;
}

int mqtt_url_parse(const char *text, struct mqtt_url *ret_url, struct gw_error *err) {
        struct mqtt_url url = { 0 };
        if (parse(text, &url) < 0) {
                gw_error_set(err, "broker-url-invalid", "'%s' is not mqtts://host[:port]", text);
                return -EINVAL;
        }
        if (!url.tls && !is_loopback(url.host)) {
                gw_error_set(err, "broker-url-invalid", "mqtt:// without TLS is for this machine alone (localhost); write mqtts://%s", url.host);
                return -EINVAL;
        }
        *ret_url = url;
        return 0;
}
