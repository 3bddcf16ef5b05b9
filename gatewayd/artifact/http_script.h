/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * For tests: a stand-in for loop/http that answers from memory, with the mistakes that servers and networks make. It defines the
 * functions of loop/http.h, so a test that links it has no other. The real one is tried in download_server_test.c.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loop/http.h"

#define HTTP_SCRIPT_FILES 8

struct http_script_file {
        const char *url;
        const uint8_t *body;
        size_t size;
        const char *etag;       /* NULL = none */
        int64_t retry_after_ms; /* 0 = not told */
        int statuses[4];        /* of the next answers; 0 = as a good server */
        size_t cut_after[4];    /* of the next answers: so many bytes, then the connection breaks; 0 = not */
        bool without_length;
        bool without_ranges;   /* always the whole file, 200 */
        bool ignores_if_range; /* a part, though the etag differs */
        bool wrong_range;      /* another part than was asked for */
        bool corrupt_parts;    /* answers to ranges hold other bytes */
        bool corrupt;          /* all answers do */
        bool hangs;            /* sends nothing until it is canceled */

        /* what happened */
        unsigned n_requests;
        uint64_t n_sent; /* bytes of good answers */
        uint64_t last_from;
        char last_if_range[64];
        char last_user[32], last_password[32], last_bearer[32];
        bool last_allow_private;
        size_t last_n_allowed;
        uint64_t last_rate;
};

/* All tests of one program share it; cleared by http_script_clear(). */
extern struct http_script_file http_script_files[HTTP_SCRIPT_FILES];
extern size_t http_script_running, http_script_most_running;

void http_script_clear(void);
struct http_script_file *http_script_find(const char *url);
