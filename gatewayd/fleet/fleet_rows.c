/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/fleet_internal.h"

static void set_timer(struct fleet *fleet);

static void timer_fired(void *ctx) {
        struct fleet *fleet = ctx;

        fleet->write_timer = NULL;
        fleet_write_due(fleet, FLEET_WRITE_PORTION);
        set_timer(fleet);
}

static int64_t waited_ms(const struct fleet *fleet, const struct gw_device *device) {
        return clock_monotonic_ms(fleet->clock) - device->unwritten_since_ms;
}

/* Armed only while a row waits: an idle daemon is not woken. Without memory for a timer the rows wait for the next chance. */
static void set_timer(struct fleet *fleet) {
        const struct gw_device *first = LIST_FIRST(&fleet->unwritten, struct gw_device, unwritten);
        int64_t delay_ms;

        if (!first || fleet->write_timer || !fleet->loop)
                return;
        delay_ms = FLEET_WRITE_DELAY_MS - waited_ms(fleet, first);
        timer_start(fleet->loop, MAX(delay_ms, (int64_t) FLEET_WRITE_PAUSE_MS), timer_fired, fleet, &fleet->write_timer);
}

int fleet_write_now(struct fleet *fleet, struct gw_device *device) {
        list_remove(&device->unwritten);
        device->row_stale = false;
        return device_put(fleet->store, device);
}

void fleet_write_soon(struct fleet *fleet, struct gw_device *device, bool stale) {
        device->row_stale |= stale;
        if (list_is_linked(&device->unwritten))
                return;
        device->unwritten_since_ms = clock_monotonic_ms(fleet->clock);
        list_append(&fleet->unwritten, &device->unwritten);
        set_timer(fleet);
}

/* A store that fails tells the daemon itself; here nothing could be done about it. */
static void write_row(struct fleet *fleet, struct gw_device *device) {
        if (device->row_stale || device_table_set_last_seen(fleet->store, device->id, device->last_seen_ms, device->rssi_dbm) == -ENOENT)
                fleet_write_now(fleet, device);
        list_remove(&device->unwritten);
}

void fleet_write_due(struct fleet *fleet, size_t n_max) {
        struct gw_device *device;

        for (size_t n = 0; n < n_max; n++) {
                device = LIST_FIRST(&fleet->unwritten, struct gw_device, unwritten);
                if (!device || waited_ms(fleet, device) < FLEET_WRITE_DELAY_MS)
                        return;
                write_row(fleet, device);
        }
}

void fleet_write_all(struct fleet *fleet) {
        struct gw_device *device;

        while ((device = LIST_FIRST(&fleet->unwritten, struct gw_device, unwritten)))
                write_row(fleet, device);
}
