/* SPDX-License-Identifier: Apache-2.0 */
#include "transport.h"

#define PORT_DEFAULT "1337"

int transport_udp_address(const char *address, char text[TRANSPORT_PORT_MAX]) {
        const char *colon = address ? strchr(address, ':') : NULL;
        bool bare_ipv6 = colon && address[0] != '[' && strchr(colon + 1, ':');
        bool has_port = colon && !bare_ipv6 && (address[0] != '[' || strstr(address, "]:"));
        int n;

        if (!address || !address[0])
                return -EINVAL;
        n = snprintf(text, TRANSPORT_PORT_MAX, "%s%s%s%s", bare_ipv6 ? "[" : "", address, bare_ipv6 ? "]" : "",
                     has_port ? "" : ":" PORT_DEFAULT);
        return n < 0 || n >= TRANSPORT_PORT_MAX ? -EINVAL : 0;
}

int transport_udp_open_address(const struct gw_host *host, const char *address, struct transport_session *session, struct gw_error *err) {
        struct gw_udp_options options = { .size = sizeof options, .address = session->where, .max_datagram = SMP_UDP_MESSAGE_MAX };
        struct gw_link *link;
        int r;

        transport_session_clear(session);
        r = transport_udp_address(address, session->where);
        if (r < 0) {
                gw_error_set(err, "address-invalid", "\"%s\" is no address of the form host:port", address ? address : "");
                return r;
        }
        r = host->link->udp_open(host, &options, &smp_client_link_handler, session->client, &link);
        if (r < 0) {
                gw_error_set(err, "link-open-failed", "%s: %s", session->where, strerror(-r));
                return r;
        }
        smp_client_attach(session->client, link, false);
        return 0;
}

static int udp_open(const struct gw_host *host, const struct gw_device *device, struct transport_session *session, struct gw_error *err) {
        return transport_udp_open_address(host, host->device->address(device), session, err);
}

const struct transport transport_udp = {
        .driver = "smp-udp",
        .kind = TRANSPORT_UDP,
        .open_timeout_ms = TRANSPORT_OPEN_TIMEOUT_MS,
        .open = udp_open,
};
