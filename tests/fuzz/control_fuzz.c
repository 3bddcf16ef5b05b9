/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a peer of the control socket sends, cut into lines as the socket cuts them: each is read, checked, judged by its rights and
 * answered, exactly once where it has an id or is none that can be read. The gateway is stopping, so nothing is carried out.
 */

#include "api/call.h"

#include <stdlib.h>

#include "base/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct peer {
        struct caller caller;
        size_t n_answers;
};

static int check_answer(struct caller *caller, const char *line, size_t size) {
        struct peer *peer = container_of(caller, struct peer, caller);
        _cleanup_command_reply_ struct command_reply reply = { 0 };
        peer->n_answers++;
        if (memchr(line, '\n', size) || command_reply_read(line, size, &reply, NULL) < 0 || reply.error_code == 0)
                abort();
        return 0;
}

static size_t queued_bytes(const struct caller *caller) {
        (void) caller;
        return 0;
}

static void cut(struct caller *caller) {
        (void) caller;
}

static const struct caller_ops ops = { .send = check_answer, .queued_bytes = queued_bytes, .cut = cut };

/* A line of its own memory, so that what reads over its end is noticed. */
static void one_line(struct peer *peer, const uint8_t *data, size_t size) {
        char *line = malloc(size + 1);
        size_t n_before = peer->n_answers;
        int fd = -1;
        if (!line)
                abort();
        memcpy(line, data, size);
        line[size] = '\0';
        call_line(&peer->caller, line, size, &fd);
        if (peer->n_answers > n_before + 1 || peer->caller.n_calls > 0 || !list_is_empty(&peer->caller.api->calls))
                abort();
        free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static struct api api;
        struct peer peer = { .caller = { .ops = &ops, .door = "socket", .principal = "uid:1000" } };
        if (!api.options.loop) {
                if (loop_new(&api.options.loop) < 0)
                        abort();
                api.options.gateway_id = "fuzz";
                api.stopping = true;
                list_init(&api.calls);
                log_set_level(LOG_LEVEL_ERROR);
        }
        caller_init(&peer.caller, &api);
        while (size > 0) {
                const uint8_t *end = memchr(data, '\n', size);
                size_t line_size = end ? (size_t) (end - data) : size;
                if (line_size <= CONTROL_LINE_MAX)
                        one_line(&peer, data, line_size);
                data += MIN(line_size + 1, size);
                size -= MIN(line_size + 1, size);
        }
        caller_gone(&peer.caller);
        return 0;
}
