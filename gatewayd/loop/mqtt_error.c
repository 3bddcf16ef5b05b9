/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/mqtt_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <string.h>

#include "base/cleanup.h"

const char *mqtt_reason_text(int reason) {
        return mosquitto_reason_string(reason);
}

static bool is_about_credentials(int reason) {
        return reason == MQTT_RC_BAD_USERNAME_OR_PASSWORD || reason == MQTT_RC_NOT_AUTHORIZED || reason == MQTT_RC_BAD_AUTHENTICATION_METHOD ||
               reason == MQTT_RC_BANNED;
}

static void system_error(const struct mqtt_options *options, int number, struct gw_error *err) {
        if (number == ECONNREFUSED)
                gw_error_set(err, "connection-refused", "nothing listens at %s port %u", options->host, options->port);
        else if (number == EPROTO)
                gw_error_set(err, "tls-handshake-failed", "%s port %u ends the TLS connection at once; does it want a client certificate?", options->host,
                             options->port);
        else
                gw_error_set(err, "network-unreachable", "%s port %u cannot be reached: %s", options->host, options->port, strerror(number));
}

void mqtt_connect_error(const struct mqtt_options *options, struct attempt_result result, struct gw_error *err) {
        switch (result.code) {
        case MOSQ_ERR_EAI:
                gw_error_set(err, "host-unresolvable", "%s: %s", options->host, gai_strerror(result.number));
                break;
        case MOSQ_ERR_ERRNO:
                system_error(options, result.number, err);
                break;
        case MOSQ_ERR_NOMEM:
                gw_error_set(err, "out-of-memory", "no memory to connect to %s", options->host);
                break;
        default: /* not an enum of ours */
                mqtt_lost_error(options, result.code, err);
                break;
        }
}

void mqtt_refused_error(const struct mqtt_options *options, int reason, struct gw_error *err) {
        if (is_about_credentials(reason))
                gw_error_set(err, "broker-credentials-refused", "%s does not let client %s in%s%s: %s (0x%02x)", options->host,
                             options->client_id ? options->client_id : "(none)", options->user ? " as user " : "",
                             options->user ? options->user : "", mqtt_reason_text(reason), (unsigned) reason);
        else
                gw_error_set(err, "broker-refused", "%s refuses the connection: %s (0x%02x)", options->host, mqtt_reason_text(reason),
                             (unsigned) reason);
}

void mqtt_ended_error(const struct mqtt_options *options, int reason, struct gw_error *err) {
        if (reason == MQTT_RC_SESSION_TAKEN_OVER)
                gw_error_set(err, "broker-session-taken-over", "another client connected to %s with the id %s", options->host,
                             options->client_id ? options->client_id : "(none)");
        else
                gw_error_set(err, "broker-lost", "%s ended the connection: %s (0x%02x)", options->host, mqtt_reason_text(reason), (unsigned) reason);
}

void mqtt_lost_error(const struct mqtt_options *options, int code, struct gw_error *err) {
        switch (code) {
        case MOSQ_ERR_PROTOCOL:
        case MOSQ_ERR_MALFORMED_PACKET:
        case MOSQ_ERR_MALFORMED_UTF8:
        case MOSQ_ERR_DUPLICATE_PROPERTY:
        case MOSQ_ERR_INVAL:
                gw_error_set(err, "broker-protocol-error", "what %s port %u sends is not MQTT 5: %s", options->host, options->port,
                             mosquitto_strerror(code));
                break;
        case MOSQ_ERR_KEEPALIVE:
                gw_error_set(err, "broker-silent", "%s does not answer any more", options->host);
                break;
        case MOSQ_ERR_TLS:
                gw_error_set(err, "tls-handshake-failed", "%s port %u: no TLS connection", options->host, options->port);
                break;
        case MOSQ_ERR_NOMEM:
                gw_error_set(err, "out-of-memory", "no memory for the connection to %s", options->host);
                break;
        default: /* not an enum of ours */
                gw_error_set(err, "broker-lost", "the connection to %s broke: %s", options->host, mosquitto_strerror(code));
                break;
        }
}

void mqtt_reason_error(int reason, const char *what, const char *topic, struct gw_error *err) {
        if (reason == MQTT_RC_NOT_AUTHORIZED)
                gw_error_set(err, "broker-acl-missing", "the broker's ACL does not let this client %s %s", what, topic);
        else
                gw_error_set(err, "broker-message-refused", "the broker does not let this client %s %s: %s (0x%02x)", what, topic,
                             mqtt_reason_text(reason), (unsigned) reason);
}
