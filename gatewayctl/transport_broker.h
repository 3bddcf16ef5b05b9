/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A broker as a transport (docs/MQTT.md): requests go to the command topic of a gateway, a group or all; replies come to a topic of our
 * own; status, campaigns, devices and desired campaigns are what gateways and people left there. Knows no file transfer.
 */

#include <stdint.h>

#include "loop/loop.h"
#include "transport.h"

#define TRANSPORT_BROKER_ROOT_DEFAULT "gatewayd"
#define TRANSPORT_BROKER_CONNECT_MS (20 * 1000)

/* All but host and port may be NULL. The texts but the host are lent as long as the transport lives. */
struct broker_options {
        const char *host;
        uint16_t port;
        bool tls;
        const char *root;   /* NULL: "gatewayd" */
        const char *client; /* our name in <root>/v1/client/<name>/reply; NULL: the user, else a random one */
        const char *user;
        const char *password;
        const char *ca_file; /* NULL: the system's */
        const char *certificate;
        const char *key; /* NULL: in the file of the certificate */
};

/*
 * Closed at first. Errors of open() and closed(): those of loop/mqtt.h and trust/tls.h. Of settled() and published():
 * broker-not-authorized and others of mqtt_reason_error(). -ENOMEM.
 */
int transport_broker_new(struct loop *loop, const struct broker_options *options, const struct transport_handler *handler, void *ctx,
                         struct transport **ret_transport);
