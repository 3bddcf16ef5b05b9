/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/device_images.h"

#include <errno.h>
#include <stdlib.h>

#include "base/str.h"
#include "document/names.h"

static int write_flags(const struct gw_image *image, struct json *object) {
        struct json *flags = json_set_new_array(object, "flags");
        int r = 0;

        if (!flags)
                return -ENOMEM;
        for (size_t i = 0; i < n_image_flags; i++)
                if (image->flags & (uint32_t) image_flags[i])
                        r |= json_append_string(flags, image_flag_name(image_flags[i]));
        return r;
}

static int write_image(const struct gw_image *image, struct json *list) {
        struct json *object = json_append_new_object(list);
        char hash[2 * GW_HASH_MAX + 1];
        int r = 0;

        if (!object)
                return -ENOMEM;
        r |= json_set_int(object, "image", image->image);
        r |= json_set_int(object, "slot", image->slot);
        if (image->version[0])
                r |= json_set_string(object, "version", image->version);
        if (image->hash_size > 0 && str_hex_encode(hash, sizeof(hash), image->hash, image->hash_size) == 0)
                r |= json_set_string(object, "hash", hash);
        r |= write_flags(image, object);
        if (image->slot_size > 0)
                r |= json_set_int(object, "slot_size_bytes", image->slot_size);
        return r;
}

int device_images_write(const struct gw_image *images, size_t n_images, struct json *object, const char *member) {
        struct json *list = json_set_new_array(object, member);
        int r = 0;

        if (!list)
                return -ENOMEM;
        for (size_t i = 0; i < n_images; i++)
                r |= write_image(&images[i], list);
        return r;
}

static void read_hash(const struct json *object, struct gw_image *image) {
        const char *hash = json_member_text(object, "hash");
        size_t size = hash ? strlen(hash) / 2 : 0;

        if (size > 0 && size <= GW_HASH_MAX && str_hex_decode(image->hash, size, hash) == 0)
                image->hash_size = (uint8_t) size;
}

static void read_flags(const struct json *object, struct gw_image *image) {
        const struct json *flags = json_child(object, "flags");
        enum gw_image_flag flag;

        for (size_t i = 0; i < json_length(flags); i++) {
                const char *name = json_string_or_null(json_at(flags, i));

                if (name && image_flag_parse(name, &flag) == 0)
                        image->flags |= (uint32_t) flag;
        }
}

static bool read_image(const struct json *object, struct gw_image *image) {
        const char *version = json_member_text(object, "version");
        int64_t number, slot, slot_size = 0;

        if (json_member_int(object, "image", 0, UINT8_MAX, &number) < 0 || json_member_int(object, "slot", 0, UINT8_MAX, &slot) < 0)
                return false;
        json_member_int(object, "slot_size_bytes", 0, UINT32_MAX, &slot_size);
        *image = (struct gw_image){.image = (uint8_t) number, .slot = (uint8_t) slot, .slot_size = (uint32_t) slot_size};
        if (version)
                str_copy(image->version, sizeof(image->version), version);
        read_hash(object, image);
        read_flags(object, image);
        return true;
}

int device_images_read(const struct json *list, struct gw_image **ret_images, size_t *ret_n) {
        size_t n_items = MIN(json_length(list), (size_t) GW_IMAGES_MAX), n = 0;
        struct gw_image *images;

        if (n_items == 0) {
                *ret_images = NULL;
                *ret_n = 0;
                return 0;
        }
        images = calloc(n_items, sizeof(*images));
        if (!images)
                return -ENOMEM;
        for (size_t i = 0; i < n_items; i++)
                if (read_image(json_at(list, i), &images[n]))
                        n++;
        *ret_images = images;
        *ret_n = n;
        return 0;
}
