/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <string.h>

#include "document/limits.h"
#include "order.h"

int artifact_import(struct session *session, const char *path, struct json **ret_result, struct failure *failure) {
        _cleanup_members_ struct members params = members_new();
        _cleanup_close_ int fd = -1;
        char name[COMMAND_FILE_NAME_MAX + 1];
        uint64_t size;
        int r = file_open(path, &fd, &size, failure);

        if (r < 0)
                return r;
        str_escape(name, sizeof name, file_name(path), strlen(file_name(path)));
        members_text(&params, "name", name);
        return session_call_file(session, "artifact.import", &params, fd, ret_result, failure);
}

/* --- which devices --- */

/* Adopted devices that match; the others are never written to, and the person hears how many there were. */
static int match_devices(struct session *session, const char *glob, struct str_list *ids, struct failure *failure) {
        _cleanup_members_ struct members params = members_new();
        _cleanup_json_ struct json *result = NULL;
        size_t n_discovered = 0;
        int r;

        members_text(&params, "match", glob);
        members_number(&params, "limit", COMMAND_PAGE_MAX);
        r = session_call_pages(session, "device.list", &params, "devices", &result, failure);
        if (r < 0)
                return r;
        JSON_FOREACH_ITEM(i, device, json_child(result, "devices")) {
                const char *id = json_member_text(device, "id"), *state = json_member_text(device, "state");
                if (!id || str_equal(state, "discovered"))
                        n_discovered++;
                else if ((r = str_list_append(ids, id)) < 0)
                        return failure_errno(failure, r);
        }
        if (ids->n_items == 0 && n_discovered > 0)
                return failure_set(failure, EXIT_CODE_REFUSED, "not-adopted", "%zu devices match %s, none of them is adopted", n_discovered,
                                   glob);
        if (ids->n_items == 0)
                return failure_set(failure, EXIT_CODE_REFUSED, "no-device-matches", "no device matches %s", glob);
        if (n_discovered > 0 && !session->json)
                return session_say(session, failure, "%zu more match, but are not adopted and left out.\n", n_discovered);
        return 0;
}

static int one_device(struct session *session, const char *words, struct str_list *ids, struct failure *failure) {
        char id[STR_DEVICE_ID_SIZE];
        int r = session_device_id(session, words, id, failure);

        if (r == 0 && (r = str_list_append(ids, id)) < 0)
                failure_errno(failure, r);
        return r;
}

static void add_devices(struct members *document, const struct str_list *ids) {
        _cleanup_members_ struct members devices = members_new();

        members_texts(&devices, "ids", ids);
        if (devices.error == 0)
                members_json(document, "devices", TAKE_PTR(devices.json));
        else
                document->error = devices.error;
}

/* --- update --- */

static int add_artifact(struct session *session, const struct json *imported, struct members *document, struct failure *failure) {
        _cleanup_members_ struct members artifact = members_new();
        struct json *array = json_new_array();
        int64_t size_bytes;
        int r;

        if (json_member_int(imported, "size_bytes", 1, INT64_MAX, &size_bytes) < 0 || !json_member_text(imported, "sha256")) {
                json_free(array);
                return failure_set(failure, EXIT_CODE_INTERNAL, "reply-invalid", "the daemon's answer to artifact.import names no file");
        }
        members_number(&artifact, "size", size_bytes);
        members_text(&artifact, "sha256", json_member_text(imported, "sha256"));
        members_options(&artifact, "compatible", session->arguments, "compatible");
        r = artifact.error == 0 && array ? json_append(array, TAKE_PTR(artifact.json)) : -ENOMEM;
        if (r < 0) {
                json_free(array);
                return failure_errno(failure, r);
        }
        members_json(document, "artifacts", array);
        return document->error < 0 ? failure_errno(failure, document->error) : 0;
}

static int check_usage(const struct arguments *arguments, struct failure *failure) {
        bool by_match = arguments_text(arguments, "match");

        if (by_match && arguments_at(arguments, 1))
                return failure_set(failure, EXIT_CODE_USAGE, "usage", "update: a device or --match, not both");
        if (!by_match && !arguments_at(arguments, 1))
                return failure_set(failure, EXIT_CODE_USAGE, "usage", "update: expected a device and a file, or --match GLOB and a file");
        return 0;
}

int run_update(struct session *session, struct failure *failure) {
        const struct arguments *arguments = session->arguments;
        const char *glob = arguments_text(arguments, "match"), *path = arguments_at(arguments, glob ? 0 : 1);
        _cleanup_str_list_ struct str_list ids = STR_LIST_INIT;
        _cleanup_members_ struct members document = members_new();
        _cleanup_json_ struct json *imported = NULL;
        int r = check_usage(arguments, failure);

        if (r == 0)
                r = glob ? match_devices(session, glob, &ids, failure) : one_device(session, arguments_at(arguments, 0), &ids, failure);
        if (r == 0)
                r = artifact_import(session, path, &imported, failure);
        if (r == 0)
                r = order_document_begin(session, file_name(path), &document, failure);
        if (r == 0)
                r = add_artifact(session, json_child(imported, "artifact"), &document, failure);
        if (r < 0)
                return r;
        add_devices(&document, &ids);
        if (document.error < 0)
                return failure_errno(failure, document.error);
        return order_run(session,
                         &(struct order){
                                 .document = document.json,
                                 .package = json_child(imported, "package"),
                                 .title = file_name(path),
                                 .stated_device = glob ? NULL : ids.items[0],
                         },
                         failure);
}

/* --- rollback --- */

int run_rollback(struct session *session, struct failure *failure) {
        _cleanup_str_list_ struct str_list ids = STR_LIST_INIT;
        _cleanup_members_ struct members document = members_new();
        char title[STR_DEVICE_ID_SIZE + 64];
        int r = one_device(session, arguments_at(session->arguments, 0), &ids, failure);

        if (r < 0)
                return r;
        str_format(title, sizeof title, "back to the image in the other slot of %s", ids.items[0]);
        r = order_document_begin(session, title, &document, failure);
        if (r < 0)
                return r;
        add_devices(&document, &ids);
        members_text(&document, "rollback", "other-slot");
        if (document.error < 0)
                return failure_errno(failure, document.error);
        return order_run(session, &(struct order){ .document = document.json, .title = title, .stated_device = ids.items[0] }, failure);
}
