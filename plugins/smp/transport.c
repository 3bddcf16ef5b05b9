/* SPDX-License-Identifier: Apache-2.0 */
#include "transport.h"

static bool is_one_of(const struct gw_error *why, const char *const *names, size_t n_names) {
        for (size_t i = 0; why && i < n_names; i++)
                if (strcmp(why->name, names[i]) == 0)
                        return true;
        return false;
}

bool transport_is_absent(const struct gw_error *why) {
        static const char *const names[] = { "port-absent", "not-seen" };

        return is_one_of(why, names, sizeof names / sizeof names[0]);
}

bool transport_is_refused(const struct gw_error *why) {
        static const char *const names[] = { "pairing-required", "encryption-required", "bond-lost" };

        return is_one_of(why, names, sizeof names / sizeof names[0]);
}

const char *transport_wait_reason(const struct gw_error *why) {
        static const char *const reasons[] = {
                "adapter-off", "adapter-blocked", "no-adapter", "bluetoothd-not-running", "dbus-refused", "device-busy",
        };

        return is_one_of(why, reasons, sizeof reasons / sizeof reasons[0]) ? why->name : NULL;
}

void transport_session_clear(struct transport_session *session) {
        *session = (struct transport_session){
                .client = session->client,
                .tuning = session->tuning,
                .priority = session->priority,
                .fresh_ms = session->fresh_ms,
                .match = session->match,
                .match_ctx = session->match_ctx,
        };
}

void transport_heard(const struct transport_session *session, uint64_t *ret_bytes, uint64_t *ret_messages) {
        const struct smp_statistics *statistics = smp_client_statistics(session->client);

        *ret_bytes = statistics->bytes_received;
        *ret_messages = statistics->answers + statistics->unexpected;
        if (session->console) {
                *ret_bytes = smp_console_statistics(session->console)->bytes;
                *ret_messages = smp_console_statistics(session->console)->messages;
        }
}
