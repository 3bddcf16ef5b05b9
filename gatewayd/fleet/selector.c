/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/selector.h"

#include "base/str.h"
#include "document/version.h"

static bool has_all_labels(const struct gw_device *device, const struct str_list *labels) {
        for (size_t i = 0; i < labels->n_items; i++)
                if (!device_has_label(device, labels->items[i]))
                        return false;
        return true;
}

/* One member of the selector against the device. */
struct judgement {
        const char *member;
        enum fleet_selected selected;
};

static enum fleet_selected yes_or_no(bool yes) {
        return yes ? FLEET_SELECTED_YES : FLEET_SELECTED_NO;
}

static enum fleet_selected judge_version(const struct campaign_selector *selector, const struct gw_device *device) {
        struct version version;

        if (!selector->version)
                return FLEET_SELECTED_YES;
        if (!device->version || version_parse(device->version, &version) < 0)
                return FLEET_SELECTED_UNKNOWN;
        return yes_or_no(version_rule_match(&selector->version_rule, &version));
}

enum fleet_selected fleet_select(const struct campaign_selector *selector, const struct gw_device *device, const char **ret_member) {
        const struct judgement judgements[] = {
                {"ids", yes_or_no(selector->ids.n_items == 0 || campaign_selector_has_id(selector, device->id))},
                {"driver", yes_or_no(selector->drivers.n_items == 0 || str_list_contains(&selector->drivers, device->driver))},
                {"labels", yes_or_no(has_all_labels(device, &selector->labels))},
                {"name", yes_or_no(!selector->name || str_glob_match(selector->name, device_name(device)))},
                {"version", judge_version(selector, device)},
        };
        const struct judgement *deciding = NULL;

        for (size_t i = 0; i < ARRAY_SIZE(judgements); i++) {
                if (judgements[i].selected == FLEET_SELECTED_YES)
                        continue;
                if (!deciding || judgements[i].selected == FLEET_SELECTED_NO)
                        deciding = &judgements[i];
                if (deciding->selected == FLEET_SELECTED_NO)
                        break;
        }
        if (ret_member)
                *ret_member = deciding ? deciding->member : NULL;
        return deciding ? deciding->selected : FLEET_SELECTED_YES;
}
