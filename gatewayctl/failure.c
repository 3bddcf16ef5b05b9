/* SPDX-License-Identifier: Apache-2.0 */
#include "failure.h"

#include <string.h>

#include "base/error_catalogue.h"
#include "base/str.h"

static const struct {
        const char *name;
        enum exit_code exit_code;
} exit_codes[] = {
        { "daemon-not-running", EXIT_CODE_NO_DAEMON },    { "too-many-clients", EXIT_CODE_NO_DAEMON },
        { "permission-denied", EXIT_CODE_NOT_PERMITTED }, { "out-of-memory", EXIT_CODE_INTERNAL },
        { "internal-error", EXIT_CODE_INTERNAL },         { "internal", EXIT_CODE_INTERNAL },
        { "request-invalid", EXIT_CODE_INTERNAL },
};

static enum exit_code exit_code_of(const char *name) {
        for (size_t i = 0; i < ARRAY_SIZE(exit_codes); i++)
                if (strcmp(exit_codes[i].name, name) == 0)
                        return exit_codes[i].exit_code;
        return EXIT_CODE_REFUSED;
}

void failure_deinit(struct failure *failure) {
        json_free(failure->mistakes);
        failure->mistakes = NULL;
}

static void advise(struct failure *failure) {
        const struct gw_error_info *info = error_catalogue_find(failure->err.name);

        str_copy(failure->advice, sizeof failure->advice, info && info->advice ? info->advice : "");
}

int failure_set(struct failure *failure, enum exit_code exit_code, const char *name, const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        gw_error_vset(&failure->err, name, format, arguments);
        va_end(arguments);
        failure->exit_code = exit_code;
        advise(failure);
        return -EBADMSG;
}

int failure_errno(struct failure *failure, int error) {
        if (error == -ENOMEM)
                failure_set(failure, EXIT_CODE_INTERNAL, "out-of-memory", "no memory left");
        else
                failure_set(failure, EXIT_CODE_INTERNAL, "internal-error", "%s", strerror(-error));
        return error;
}

int failure_from(struct failure *failure, const struct gw_error *err) {
        return failure_set(failure, exit_code_of(err->name), err->name, "%s", err->text);
}

static void render_text(struct strbuf *out, const char *lead, const char *text, const struct style *style) {
        _cleanup_free_ char *clean = text_clean(text);

        strbuf_append(out, lead);
        text_append_wrapped(out, clean ? clean : "", text_columns(lead), style);
}

int failure_render(const struct failure *failure, const struct style *style, struct strbuf *out) {
        char text[sizeof failure->err.text + sizeof failure->err.name + 8];

        /* The name of a usage mistake says nothing that the text does not say. */
        if (failure->exit_code == EXIT_CODE_USAGE)
                str_copy(text, sizeof text, failure->err.text);
        else
                str_format(text, sizeof text, "%s (%s)", failure->err.text, failure->err.name);
        text_append_toned(out, "gatewayctl: ", TONE_BAD, style);
        render_text(out, "", text, style);
        JSON_FOREACH_ITEM(i, mistake, failure->mistakes) {
                const char *path = json_member_text(mistake, "path"), *what = json_member_text(mistake, "text");
                _cleanup_strbuf_ struct strbuf line = STRBUF_INIT(TEXT_LIMIT);
                strbuf_appendf(&line, "%s%s%s", path ? path : "", path && path[0] ? ": " : "", what ? what : "");
                render_text(out, "  ", strbuf_text(&line), style);
        }
        if (failure->advice[0])
                render_text(out, "  ", failure->advice, style);
        return out->error;
}

int failure_json(const struct failure *failure, struct json **ret_json) {
        _cleanup_json_ struct json *root = json_new_object();
        struct json *error = root ? json_set_new_object(root, "error") : NULL;
        int r = error ? json_set_string(error, "name", failure->err.name) : -ENOMEM;

        if (r == 0)
                r = json_set_string(error, "text", failure->err.text);
        if (r == 0 && failure->advice[0])
                r = json_set_string(error, "advice", failure->advice);
        if (r == 0 && failure->mistakes)
                r = json_set(error, "errors", json_ref(failure->mistakes));
        if (r == 0)
                r = json_set_int(root, "exit_code", failure->exit_code);
        if (r == 0)
                *ret_json = TAKE_PTR(root);
        return r;
}
