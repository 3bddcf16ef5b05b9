/* SPDX-License-Identifier: Apache-2.0 */
#include "common/mcuboot/package_note.h"

void package_fact(struct gw_package *package, const char *label, const char *name, const char *format, ...) {
        va_list arguments;
        if (package->n_facts >= sizeof package->facts / sizeof package->facts[0])
                return;
        snprintf(package->facts[package->n_facts].name, sizeof package->facts[0].name, "%s%s%s", label, label[0] ? " " : "", name);
        va_start(arguments, format);
        vsnprintf(package->facts[package->n_facts++].value, sizeof package->facts[0].value, format, arguments);
        va_end(arguments);
}

void package_warning(struct gw_package *package, const char *label, const char *format, ...) {
        char *text;
        int used = 0;
        va_list arguments;
        if (package->n_warnings >= sizeof package->warnings / sizeof package->warnings[0])
                return;
        text = package->warnings[package->n_warnings++];
        if (label[0])
                used = snprintf(text, sizeof package->warnings[0], "%s: ", label);
        if ((size_t) used >= sizeof package->warnings[0])
                return;
        va_start(arguments, format);
        vsnprintf(text + used, sizeof package->warnings[0] - (size_t) used, format, arguments);
        va_end(arguments);
}

void package_hex(char *text, size_t text_size, const uint8_t *bytes, size_t size) {
        text[0] = '\0';
        for (size_t i = 0; i < size && 2 * i + 3 <= text_size; i++)
                snprintf(text + 2 * i, 3, "%02x", bytes[i]);
}
