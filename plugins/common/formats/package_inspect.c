/* SPDX-License-Identifier: Apache-2.0 */
#include "common/formats/package_inspect.h"

#define NAME_WIDTH 24

static void line(struct strbuf *out, const char *name, const char *value) {
        char clean[sizeof(((struct gw_package *) NULL)->warnings[0]) * 4];
        str_escape(clean, sizeof clean, value, strlen(value));
        strbuf_appendf(out, "%-*s %s\n", NAME_WIDTH, name, clean);
}

static void text_part(struct strbuf *out, const struct gw_part *part) {
        char hash[2 * GW_HASH_MAX + 1] = "", title[32], value[GW_VERSION_MAX + 80];
        snprintf(title, sizeof title, part->slot >= 0 ? "image %u slot %d" : "image %u", part->image, part->slot);
        snprintf(value, sizeof value, "%s, %llu bytes%s", part->version, (unsigned long long) part->size,
                 part->encrypted ? ", encrypted" : "");
        line(out, title, value);
        if (part->name[0])
                line(out, "  file", part->name);
        str_hex_encode(hash, sizeof hash, part->hash, part->hash_size);
        line(out, "  hash", hash);
        str_hex_encode(hash, sizeof hash, part->sha256, sizeof part->sha256);
        line(out, "  sha256 of bytes", hash);
}

static void text_dependencies(struct strbuf *out, const struct gw_package *package) {
        for (size_t i = 0; i < package->n_dependencies; i++)
                strbuf_appendf(out, "%-*s image %u needs image %u to be %s or newer\n", NAME_WIDTH, "dependency",
                               package->dependencies[i].of_image, package->dependencies[i].image, package->dependencies[i].minimum);
}

int package_inspect_text(const struct gw_package *package, struct strbuf *out) {
        line(out, "format", package->format);
        line(out, "version", package->version);
        for (size_t i = 0; i < package->n_compatible; i++)
                line(out, "compatible", package->compatible[i]);
        if (package->n_compatible == 0)
                line(out, "compatible", "(the file names no hardware)");
        for (size_t i = 0; i < package->n_parts; i++)
                text_part(out, &package->parts[i]);
        text_dependencies(out, package);
        for (size_t i = 0; i < package->n_facts; i++)
                line(out, package->facts[i].name, package->facts[i].value);
        for (size_t i = 0; i < package->n_warnings; i++)
                line(out, "warning", package->warnings[i]);
        return out->error;
}

static int json_hex(struct json *object, const char *key, const uint8_t *bytes, size_t size) {
        char text[2 * GW_HASH_MAX + 1];
        int r = str_hex_encode(text, sizeof text, bytes, size);
        return r < 0 ? r : json_set_string(object, key, text);
}

static int json_part(struct json *parts, const struct gw_part *part) {
        struct json *object = json_append_new_object(parts);
        int r = object ? json_set_int(object, "image", part->image) : -ENOMEM;
        if (r == 0 && part->slot >= 0)
                r = json_set_int(object, "slot", part->slot);
        if (r == 0)
                r = json_set_string(object, "version", part->version);
        if (r == 0)
                r = json_set_int(object, "size", (int64_t) part->size);
        if (r == 0)
                r = json_hex(object, "hash", part->hash, part->hash_size);
        if (r == 0)
                r = json_hex(object, "sha256", part->sha256, sizeof part->sha256);
        if (r == 0)
                r = json_set_bool(object, "encrypted", part->encrypted);
        if (r == 0 && part->load_address)
                r = json_set_int(object, "load_address", part->load_address);
        if (r == 0 && part->name[0])
                r = json_set_string(object, "file", part->name);
        return r;
}

static int json_parts(struct json *root, const struct gw_package *package) {
        struct json *parts = json_set_new_array(root, "parts");
        int r = parts ? 0 : -ENOMEM;
        for (size_t i = 0; i < package->n_parts && r == 0; i++)
                r = json_part(parts, &package->parts[i]);
        return r;
}

static int json_dependencies(struct json *root, const struct gw_package *package) {
        struct json *list = json_set_new_array(root, "dependencies");
        int r = list ? 0 : -ENOMEM;
        for (size_t i = 0; i < package->n_dependencies && r == 0; i++) {
                struct json *object = json_append_new_object(list);
                r = object ? json_set_int(object, "of_image", package->dependencies[i].of_image) : -ENOMEM;
                if (r == 0)
                        r = json_set_int(object, "image", package->dependencies[i].image);
                if (r == 0)
                        r = json_set_string(object, "minimum", package->dependencies[i].minimum);
        }
        return r;
}

static int json_notes(struct json *root, const struct gw_package *package) {
        struct json *compatible = json_set_new_array(root, "compatible"), *facts = json_set_new_object(root, "facts"),
                    *warnings = json_set_new_array(root, "warnings");
        int r = compatible && facts && warnings ? 0 : -ENOMEM;
        for (size_t i = 0; i < package->n_compatible && r == 0; i++)
                r = json_append_string(compatible, package->compatible[i]);
        for (size_t i = 0; i < package->n_facts && r == 0; i++)
                r = json_set_string(facts, package->facts[i].name, package->facts[i].value);
        for (size_t i = 0; i < package->n_warnings && r == 0; i++)
                r = json_append_string(warnings, package->warnings[i]);
        return r;
}

int package_inspect_json(const struct gw_package *package, struct json **ret_json) {
        _cleanup_json_ struct json *root = json_new_object();
        int r = root ? json_set_string(root, "format", package->format) : -ENOMEM;
        if (r == 0)
                r = json_set_string(root, "version", package->version);
        if (r == 0)
                r = json_parts(root, package);
        if (r == 0)
                r = json_dependencies(root, package);
        if (r == 0)
                r = json_notes(root, package);
        if (r < 0)
                return r;
        *ret_json = TAKE_PTR(root);
        return 0;
}
