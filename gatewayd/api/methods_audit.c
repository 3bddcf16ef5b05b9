/* SPDX-License-Identifier: Apache-2.0 */
#include "api/methods.h"

#include <stdlib.h>

#include "store/audit_table.h"

#define VERIFY_SLICE 1000 /* rows checked in one turn */

/* --- query --- */

struct query {
        struct json *rows;
        size_t limit;
        int64_t next;
};

static int add_row(void *ctx, struct audit_row *row) {
        struct query *query = ctx;
        struct json *json;
        if (json_length(query->rows) == query->limit) {
                query->next = row->seq;
                return 0;
        }
        json = json_append_new_object(query->rows);
        if (!json)
                return -ENOMEM;
        json_set_int(json, "seq", row->seq);
        set_time(json, "time", row->time_ms);
        json_set_bool(json, "time_credible", row->credible);
        json_set_string(json, "door", row->door);
        json_set_string(json, "principal", row->principal);
        json_set_string(json, "command", row->command);
        if (row->has_document_digest)
                set_hex(json, "document_digest", row->document_digest, STORE_DIGEST_SIZE);
        json_set_string(json, "device", row->device);
        json_set_string(json, "hash_before", row->hash_before);
        json_set_string(json, "version_before", row->version_before);
        json_set_string(json, "hash_after", row->hash_after);
        json_set_string(json, "version_after", row->version_after);
        json_set_string(json, "result", row->result);
        set_hex(json, "digest", row->digest, STORE_DIGEST_SIZE);
        return 0;
}

void method_audit_query(struct call *call) {
        _cleanup_json_ struct json *result = json_new_object();
        int64_t from = 1, limit = COMMAND_PAGE_DEFAULT;
        struct query query = { 0 };
        int r;
        (void) json_member_int(call->params, "from", 1, INT64_MAX, &from);
        (void) json_member_int(call->params, "limit", 1, COMMAND_PAGE_MAX, &limit);
        query.limit = (size_t) limit;
        query.rows = result ? json_set_new_array(result, "rows") : NULL;
        r = query.rows ? audit_table_each(call->api->options.store, from, (uint32_t) limit + 1, add_row, &query) : -ENOMEM;
        if (r >= 0 && query.next > 0)
                r = json_set_int(result, "next", query.next);
        if (r < 0)
                call_fail_errno(call, r, NULL);
        else
                call_answer(call, TAKE_PTR(result));
}

/* --- verify: in slices, one a turn --- */

struct verify {
        struct audit_verification verification;
        struct loop_deferral *deferral;
};

static void drop_verify(struct call *call) {
        struct verify *verify = call->work;
        loop_defer_cancel(verify->deferral);
        free(verify);
}

static void answer_verify(struct call *call, const struct audit_verification *verification) {
        struct json *result = json_new_object(), *newest;
        uint8_t digest[STORE_DIGEST_SIZE];
        int64_t seq;
        if (!result) {
                call_fail_errno(call, -ENOMEM, NULL);
                return;
        }
        json_set_bool(result, "valid", verification->bad_seq == 0);
        json_set_int(result, "rows", verification->n_rows);
        if (verification->bad_seq > 0) {
                json_set_int(result, "first_bad", verification->bad_seq);
                json_set_string(result, "text", verification->text);
        }
        if (audit_table_newest(call->api->options.store, &seq, digest) >= 0) {
                newest = json_set_new_object(result, "newest");
                json_set_int(newest, "seq", seq);
                set_hex(newest, "digest", digest, sizeof digest);
        }
        call_answer_durable(call, result);
}

static void verify_slice(void *ctx) {
        struct call *call = ctx;
        struct verify *verify = call->work;
        int r = audit_table_verify(call->api->options.store, &verify->verification, VERIFY_SLICE);
        verify->deferral = NULL;
        if (r >= 0 && verify->verification.finished) {
                answer_verify(call, &verify->verification);
                return;
        }
        if (r >= 0)
                r = loop_defer(call->api->options.loop, verify_slice, call, &verify->deferral);
        call_started(call, r);
}

void method_audit_verify(struct call *call) {
        struct verify *verify = calloc(1, sizeof *verify);
        if (!verify) {
                call_fail_errno(call, -ENOMEM, NULL);
                return;
        }
        call->work = verify;
        call->drop = drop_verify;
        verify_slice(call);
}
