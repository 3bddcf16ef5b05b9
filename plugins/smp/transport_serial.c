/* SPDX-License-Identifier: Apache-2.0 */
#include "transport.h"

#include <ctype.h>

/* What is looked for among the ports that exist now. */
struct search {
        const char *key;
        char found[TRANSPORT_PORT_MAX];
};

static void match_port(void *ctx, const struct gw_serial_port *port) {
        struct search *search = ctx;

        if (search->key && port->key && port->key[0] && strcmp(port->key, search->key) == 0 && !search->found[0])
                snprintf(search->found, sizeof search->found, "%s", port->path);
}

/* "000683-if02": made of a USB serial number, so it is known again wherever the port appears. */
static bool is_port_key(const char *key) {
        size_t size = strlen(key);

        return size > 5 && strncmp(key + size - 5, "-if", 3) == 0 && isxdigit((unsigned char) key[size - 1]) &&
               isxdigit((unsigned char) key[size - 2]);
}

/* Order: the section's `port`, the port with the device's key, and for a device that is known by a name of its own its address. A
 * device with a port's key is never looked for at an address: after renumbering another one may sit there. */
int transport_serial_find(const struct gw_host *host, const struct gw_device *device, char path[TRANSPORT_PORT_MAX], struct gw_error *err) {
        const char *port = host->device->attribute(device, "port");
        const char *key = host->device->key(device);
        const char *address = host->device->address(device);
        struct search search = { .key = port && port[0] != '/' ? port : key };

        if (port && port[0] == '/')
                snprintf(search.found, sizeof search.found, "%s", port);
        else
                host->link->serial_list(host, match_port, &search);
        if (!search.found[0] && !port && !is_port_key(key) && address && address[0] == '/')
                snprintf(search.found, sizeof search.found, "%s", address);
        if (!search.found[0]) {
                gw_error_set(err, "port-absent", "no serial port has the key \"%s\"", search.key);
                return -ENODEV;
        }
        memcpy(path, search.found, TRANSPORT_PORT_MAX);
        return 0;
}

/* Keeps the first lines of what is no SMP: a login prompt tells more than a count. */
static void keep_noise(void *ctx, const char *line, size_t size) {
        struct transport_session *session = ctx;
        char *text;

        if (session->n_noise == TRANSPORT_NOISE_LINES || size == 0)
                return;
        text = session->noise[session->n_noise++];
        for (size_t i = 0; i < size && i < TRANSPORT_NOISE_MAX - 1; i++)
                text[i] = line[i] >= ' ' && line[i] <= '~' ? line[i] : '.';
}

int transport_serial_open_port(const struct gw_host *host, const char *path, struct transport_session *session, struct gw_error *err) {
        struct gw_serial_options options = {
                .size = sizeof options,
                .path = session->where,
                .baud = session->tuning->baud,
                .hardware_flow = session->tuning->hardware_flow,
                .queue_max = 2 * smp_console_encoded_size(SMP_MESSAGE_MAX),
        };
        struct smp_console_options console_options = { .noise = keep_noise, .noise_ctx = session };
        struct smp_console *console;
        struct gw_link *bytes;
        int r;

        transport_session_clear(session);
        snprintf(session->where, sizeof session->where, "%s", path);
        r = smp_console_new(&console_options, &console);
        if (r < 0) {
                gw_error_set(err, "out-of-memory", "no memory for the serial framing");
                return r;
        }
        r = host->link->serial_open(host, &options, &smp_console_link_handler, console, &bytes);
        if (r < 0) {
                smp_console_free(console);
                gw_error_set(err, "link-open-failed", "%s: %s", path, strerror(-r));
                return r;
        }
        smp_console_attach(console, bytes);
        smp_client_attach(session->client, smp_console_link(console), false);
        session->console = console;
        return 0;
}

static int serial_open(const struct gw_host *host, const struct gw_device *device, struct transport_session *session,
                       struct gw_error *err) {
        char path[TRANSPORT_PORT_MAX];
        int r = transport_serial_find(host, device, path, err);

        return r < 0 ? r : transport_serial_open_port(host, path, session, err);
}

const struct transport transport_serial = {
        .driver = "smp-serial",
        .kind = TRANSPORT_SERIAL,
        .framing = SMP_CONSOLE_FRAMING,
        .open_timeout_ms = TRANSPORT_OPEN_TIMEOUT_MS,
        .open = serial_open,
};
