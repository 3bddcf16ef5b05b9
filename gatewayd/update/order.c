/* SPDX-License-Identifier: Apache-2.0 */
#include "update/internal.h"

#include <stdlib.h>

#include "base/str.h"

/* --- which file --- */

static bool package_names_model(const struct gw_package *content, const char *model) {
        for (size_t i = 0; i < content->n_compatible; i++)
                if (strcmp(content->compatible[i], model) == 0)
                        return true;
        return false;
}

enum fit { FIT_YES, FIT_NO, FIT_NAMES_NO_HARDWARE, FIT_NOT_READ_YET, FIT_CANNOT_BE_READ };

/* The document's word counts; where it says nothing, the file's own. */
static enum fit file_fits(const struct campaign_file *file, const char *model) {
        const struct gw_package *content;
        if (file->artifact->compatible.n_items > 0)
                return model && str_list_contains(&file->artifact->compatible, model) ? FIT_YES : FIT_NO;
        if (gw_error_is_set(&file->error))
                return FIT_CANNOT_BE_READ;
        if (!package_is_ready(file->user.package))
                return FIT_NOT_READ_YET;
        content = package_content(file->user.package);
        if (content->n_compatible == 0)
                return FIT_NAMES_NO_HARDWARE;
        return model && package_names_model(content, model) ? FIT_YES : FIT_NO;
}

bool order_driver_takes(const struct campaign *campaign, const struct gw_device *device, const char *format) {
        const struct gw_driver *driver = driver_registry_find(campaign->update->options.registry, device->driver);
        if (!driver || !driver->formats)
                return true;
        for (const char *const *name = driver->formats; *name; name++)
                if (strcmp(*name, format) == 0)
                        return true;
        return false;
}

/* Two files for one model may be of two formats, each for another driver. */
static bool can_take(const struct campaign_file *file, const struct gw_device *device) {
        return !package_is_ready(file->user.package) || order_driver_takes(file->campaign, device, package_content(file->user.package)->format);
}

static int not_chosen(const char *model, const struct gw_error *model_error, bool unread, struct gw_error *err) {
        if (unread) {
                gw_error_set(err, "fetching", "the file is not here yet");
                return -EAGAIN;
        }
        if (!model) {
                if (err)
                        *err = *model_error;
                return -EAGAIN;
        }
        gw_error_set(err, "incompatible", "no file of this campaign is for hardware %s", model);
        return -ENOENT;
}

int order_choose(const struct campaign *campaign, const struct gw_device *device, struct campaign_file **ret_file, struct gw_error *err) {
        struct gw_error model_error = { 0 };
        const struct campaign_file *unreadable = NULL;
        struct campaign_file *chosen = NULL;  /* for this hardware, but its driver does not take it: order_make() says so */
        struct campaign_file *unnamed = NULL; /* names no hardware */
        const char *model;
        bool unread = false;
        if (campaign->document->rollback || campaign->document->rollback_of) {
                *ret_file = NULL;
                return 0;
        }
        model = device_model(device, &model_error);
        for (size_t i = 0; i < campaign->n_files; i++) {
                struct campaign_file *file = &campaign->files[i];
                enum fit fit = file_fits(file, model);
                unread |= fit == FIT_NOT_READ_YET;
                if (fit == FIT_CANNOT_BE_READ)
                        unreadable = file;
                if (fit == FIT_NAMES_NO_HARDWARE && !unnamed)
                        unnamed = file;
                if (fit == FIT_YES && !chosen)
                        chosen = file;
                if (fit == FIT_YES && can_take(file, device)) {
                        *ret_file = file;
                        return 0;
                }
        }
        if (chosen && !unread) {
                *ret_file = chosen;
                return 0;
        }
        /* A file that names no hardware goes to the one device that a person named, and to no other. */
        if (unnamed && !unread && campaign_names_one_device(campaign->document)) {
                *ret_file = unnamed;
                return 0;
        }
        /* It may have been this one: its error is the reason, not the hardware. */
        if (unreadable && !unread) {
                if (err)
                        *err = unreadable->error;
                return -EIO;
        }
        return not_chosen(model, &model_error, unread, err);
}

/* --- what is wanted --- */

static void want_part(struct gw_order *order, const struct gw_part *part, int image) {
        struct gw_wanted *wanted = &order->wanted[order->n_wanted++];
        wanted->image = image >= 0 ? (uint8_t) image : part->image;
        wanted->hash_size = part->hash_size;
        memcpy(wanted->hash, part->hash, part->hash_size);
        wanted->part = part;
        (void) str_copy(wanted->version, sizeof wanted->version, part->version);
}

static int want_file(struct gw_order *order, const struct gw_device *device, const struct campaign_file *file, struct gw_error *err) {
        const struct gw_package *content;
        if (gw_error_is_set(&file->error)) {
                if (err)
                        *err = file->error;
                return -EIO;
        }
        if (!package_is_ready(file->user.package)) {
                gw_error_set(err, file->waiting[0] ? file->waiting : "fetching", "the file is not here yet");
                return -EAGAIN;
        }
        content = package_content(file->user.package);
        if (!order_driver_takes(file->campaign, device, content->format)) {
                gw_error_set(err, "format-not-for-driver", "driver %s does not take files of format %s", device->driver, content->format);
                return -EINVAL;
        }
        if (file->artifact->image >= 0 && content->n_parts != 1) {
                gw_error_set(err, "format-mismatch", "the campaign names image %d, but the file holds %zu images", file->artifact->image, content->n_parts);
                return -EINVAL;
        }
        for (size_t i = 0; i < content->n_parts; i++)
                want_part(order, &content->parts[i], file->artifact->image);
        return 0;
}

const struct gw_image *device_active_image(const struct gw_device *device, uint8_t image) {
        const struct gw_image *first_slot = NULL;
        for (size_t i = 0; i < device->n_images; i++) {
                const struct gw_image *row = &device->images[i];
                if (row->image != image)
                        continue;
                if (row->flags & GW_IMAGE_ACTIVE)
                        return row;
                /* Servers before Zephyr 3.x call only the image of their own core active. */
                if (row->slot == 0)
                        first_slot = row;
        }
        return first_slot;
}

static void want_other_slots(struct gw_order *order, const struct gw_device *device) {
        for (size_t i = 0; i < device->n_images && order->n_wanted < GW_PARTS_MAX; i++) {
                const struct gw_image *row = &device->images[i];
                struct gw_wanted *wanted = &order->wanted[order->n_wanted];
                if (row == device_active_image(device, row->image) || row->hash_size == 0)
                        continue;
                wanted->image = row->image;
                wanted->hash_size = row->hash_size;
                memcpy(wanted->hash, row->hash, row->hash_size);
                (void) str_copy(wanted->version, sizeof wanted->version, row->version);
                order->n_wanted++;
        }
}

static int want_written(struct gw_order *order, const char *text) {
        _cleanup_json_ struct json *json = NULL;
        if (json_parse(text, strlen(text), 0, &json, NULL) < 0)
                return -EINVAL;
        JSON_FOREACH_ITEM(i, row, json) {
                struct gw_wanted *wanted = &order->wanted[order->n_wanted];
                const char *hash = json_member_text(row, "hash"), *version = json_member_text(row, "version");
                int64_t image = 0;
                if (order->n_wanted == GW_PARTS_MAX || !hash || strlen(hash) > 2 * GW_HASH_MAX)
                        return -EINVAL;
                if (json_member_int(row, "image", 0, 255, &image) < 0 || str_hex_decode(wanted->hash, strlen(hash) / 2, hash) < 0)
                        return -EINVAL;
                wanted->image = (uint8_t) image;
                wanted->hash_size = (uint8_t) (strlen(hash) / 2);
                (void) str_copy(wanted->version, sizeof wanted->version, version ? version : "");
                order->n_wanted++;
        }
        return order->n_wanted > 0 ? 0 : -EINVAL;
}

static int want_rollback(struct gw_order *order, const struct gw_device *device, const char *wanted, struct gw_error *err) {
        order->rollback = true;
        if (wanted && want_written(order, wanted) >= 0)
                return 0;
        if (!device->images_known) {
                gw_error_set(err, "inventory-unknown", "what lies in the slots of %s is not known yet", device->id);
                return -EAGAIN;
        }
        order->n_wanted = 0;
        want_other_slots(order, device);
        if (order->n_wanted > 0)
                return 0;
        gw_error_set(err, "rollback-image-gone", "no image lies in the other slot of %s", device->id);
        return -ENOENT;
}

int order_make(const struct campaign *campaign, const struct gw_device *device, const struct campaign_file *file, const char *wanted,
               struct gw_order **ret_order, struct gw_error *err) {
        const struct campaign_policy *policy = &campaign->document->policy;
        _cleanup_free_ struct gw_order *order = calloc(1, sizeof *order);
        int r;
        if (!order) {
                gw_error_set(err, "out-of-memory", "no memory for the order of %s", device->id);
                return -ENOMEM;
        }
        order->size = sizeof *order;
        order->mode = policy->mode;
        order->trial_ms = policy->trial_ms;
        order->trial_checks = policy->trial_checks;
        order->allow_downgrade = policy->allow_downgrade;
        r = file ? want_file(order, device, file, err) : want_rollback(order, device, wanted, err);
        if (r < 0)
                return r;
        *ret_order = TAKE_PTR(order);
        return 0;
}

int order_write_wanted(const struct gw_order *order, char **ret_text) {
        _cleanup_json_ struct json *json = json_new_array();
        char hex[2 * GW_HASH_MAX + 1];
        if (!json)
                return -ENOMEM;
        for (size_t i = 0; i < order->n_wanted; i++) {
                struct json *row = json_append_new_object(json);
                if (!row)
                        return -ENOMEM;
                str_hex_encode(hex, sizeof hex, order->wanted[i].hash, order->wanted[i].hash_size);
                json_set_int(row, "image", order->wanted[i].image);
                json_set_string(row, "hash", hex);
                json_set_string(row, "version", order->wanted[i].version);
        }
        return json_write(json, ret_text, NULL);
}

/* --- rules between a device as it is and an order --- */

static int check_model(const struct campaign *campaign, const struct gw_device *device, const struct campaign_file *file, struct gw_error *err) {
        struct gw_error model_error = { 0 };
        const char *model = device_model(device, &model_error);
        enum fit fit;
        if (!file)
                return 0;
        fit = file_fits(file, model);
        if (strcmp(model_error.name, "model-conflict") == 0 || (!model && fit == FIT_NO)) {
                if (err)
                        *err = model_error;
                return -EAGAIN;
        }
        if (fit == FIT_YES || (fit == FIT_NAMES_NO_HARDWARE && campaign_names_one_device(campaign->document)))
                return 0;
        gw_error_set(err, "incompatible", "the file is not for hardware %s, which %s is", model ? model : "?", device->id);
        return -EINVAL;
}

static int check_downgrade(const struct gw_device *device, const struct gw_wanted *wanted, struct gw_error *err) {
        const struct gw_image *active = device_active_image(device, wanted->image);
        struct version now, new;
        if (!active || version_parse(active->version, &now) < 0 || version_parse(wanted->version, &new) < 0)
                return 0;
        if (wanted->hash_size > 0 && active->hash_size == wanted->hash_size && memcmp(active->hash, wanted->hash, wanted->hash_size) == 0)
                return 0;
        if (version_compare(&new, &now) >= 0)
                return 0;
        gw_error_set(err, "downgrade", "it runs %s, the file is %s", active->version, wanted->version);
        return -EPERM;
}

int order_check(const struct campaign *campaign, const struct gw_device *device, const struct gw_order *order, const struct campaign_file *file,
                struct gw_error *err) {
        int r = check_model(campaign, device, file, err);
        if (r < 0 || order->allow_downgrade || order->rollback)
                return r;
        for (size_t i = 0; i < order->n_wanted; i++) {
                r = check_downgrade(device, &order->wanted[i], err);
                if (r < 0)
                        return r;
        }
        return 0;
}
