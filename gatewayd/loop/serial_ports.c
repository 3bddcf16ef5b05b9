/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/serial_ports.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/str.h"

#define SYSFS_LEVELS_MAX 8 /* from a tty up to its USB device: port, interface, device */

struct port {
        char *path;
        dev_t number;
        char key[GW_KEY_MAX + 1];
        char usb_serial[SERIAL_SYSFS_TEXT_MAX];
        char manufacturer[SERIAL_SYSFS_TEXT_MAX];
        char product[SERIAL_SYSFS_TEXT_MAX];
        uint16_t usb_vendor_id, usb_product_id;
        int usb_interface;
        unsigned port_number; /* of adapters with several ports in one interface */
};

struct port_list {
        struct port *ports;
        size_t n_ports;
};

static void port_list_deinit(struct port_list *list) {
        for (size_t i = 0; i < list->n_ports; i++)
                free(list->ports[i].path);
        free(list->ports);
}

/* ---- sysfs */

/* A text of the device: one line, harmless in logs. */
static int read_text(const char *folder, const char *name, char *dst, size_t dst_size) {
        char path[PATH_MAX], text[SERIAL_SYSFS_TEXT_MAX];
        _cleanup_close_ int fd = -1;
        ssize_t n;

        if (str_format(path, sizeof path, "%s/%s", folder, name) < 0)
                return -ENAMETOOLONG;
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0)
                return -errno;
        n = read(fd, text, sizeof text - 1);
        if (n < 0)
                return -errno;
        text[n] = '\0';
        text[strcspn(text, "\n")] = '\0';
        str_escape(dst, dst_size, text, strlen(text));
        return 0;
}

static int read_number(const char *folder, const char *name, int base, unsigned long *ret_number) {
        char text[SERIAL_SYSFS_TEXT_MAX], *end;
        unsigned long number;
        int r = read_text(folder, name, text, sizeof text);

        if (r < 0)
                return r;
        number = strtoul(text, &end, base);
        if (end == text || *end || number > UINT16_MAX)
                return -EINVAL;
        *ret_number = number;
        return 0;
}

static void read_usb_device(const char *folder, struct port *port) {
        unsigned long number;

        if (read_number(folder, "idVendor", 16, &number) == 0)
                port->usb_vendor_id = (uint16_t) number;
        if (read_number(folder, "idProduct", 16, &number) == 0)
                port->usb_product_id = (uint16_t) number;
        read_text(folder, "serial", port->usb_serial, sizeof port->usb_serial);
        read_text(folder, "manufacturer", port->manufacturer, sizeof port->manufacturer);
        read_text(folder, "product", port->product, sizeof port->product);
}

static bool has_file(const char *folder, const char *name) {
        char path[PATH_MAX];

        return str_format(path, sizeof path, "%s/%s", folder, name) == 0 && access(path, F_OK) == 0;
}

/* The tty's device is its USB interface, or (usb-serial) a port below that; the USB device is further up. */
static void read_ancestors(char *folder, struct port *port) {
        for (int level = 0; level < SYSFS_LEVELS_MAX; level++) {
                char *slash = strrchr(folder, '/');
                unsigned long number;

                if (read_number(folder, "port_number", 10, &number) == 0)
                        port->port_number = (unsigned) number;
                if (port->usb_interface < 0 && read_number(folder, "bInterfaceNumber", 16, &number) == 0)
                        port->usb_interface = (int) number;
                if (has_file(folder, "idVendor")) {
                        read_usb_device(folder, port);
                        return;
                }
                if (!slash || slash == folder)
                        return;
                *slash = '\0';
        }
}

/* A node may be a link with a name of its own (by-id), or be the node that a link of the tty's name points to. */
static char *find_tty_device(const char *sysfs_root, const char *node) {
        _cleanup_free_ char *real = realpath(node, NULL);
        const char *const names[] = { node, real };

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                const char *name = names[i] ? strrchr(names[i], '/') : NULL;
                char path[PATH_MAX], *folder;

                if (!name || str_format(path, sizeof path, "%s/class/tty%s/device", sysfs_root, name) < 0)
                        continue;
                folder = realpath(path, NULL);
                if (folder)
                        return folder;
        }
        return NULL;
}

/* Too long a serial number gives no key rather than a cut one. */
static void make_key(struct port *port) {
        char suffix[32] = "";
        size_t size;

        if (!port->usb_serial[0])
                return;
        if (port->usb_interface >= 0)
                str_format(suffix, sizeof suffix, "-if%02x", (unsigned) port->usb_interface);
        if (port->port_number > 0) {
                size = strlen(suffix);
                str_format(suffix + size, sizeof suffix - size, "-p%u", port->port_number);
        }
        if (str_format(port->key, sizeof port->key, "%s%s", port->usb_serial, suffix) < 0)
                port->key[0] = '\0';
        for (char *c = port->key; *c; c++)
                if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-", *c))
                        *c = '_';
        if (!str_is_id(port->key))
                port->key[0] = '\0';
}

static void identify(const char *sysfs_root, struct port *port) {
        _cleanup_free_ char *folder = find_tty_device(sysfs_root, port->path);

        port->usb_interface = -1;
        if (!folder)
                return;
        read_ancestors(folder, port);
        make_key(port);
}

/* ---- the list */

static int add_port(struct port_list *list, const char *path) {
        struct port *port = &list->ports[list->n_ports];
        struct stat status;

        if (stat(path, &status) < 0 || !S_ISCHR(status.st_mode))
                return 0;
        for (size_t i = 0; i < list->n_ports; i++)
                if (list->ports[i].number == status.st_rdev)
                        return 0;
        *port = (struct port){ .path = strdup(path), .number = status.st_rdev };
        if (!port->path)
                return -ENOMEM;
        list->n_ports++;
        return 0;
}

static int compare_paths(const void *a, const void *b) {
        return strcmp(*(char *const *) a, *(char *const *) b);
}

static int find_ports(const char *const *globs, size_t n_globs, struct port_list *list) {
        _cleanup_(globfree) glob_t found = { 0 };
        int r = 0;

        for (size_t i = 0; i < n_globs; i++)
                if (glob(globs[i], GLOB_NOSORT | (i > 0 ? GLOB_APPEND : 0), NULL, &found) == GLOB_NOSPACE)
                        return -ENOMEM;
        if (found.gl_pathc == 0)
                return 0;
        qsort(found.gl_pathv, found.gl_pathc, sizeof *found.gl_pathv, compare_paths);
        list->ports = calloc(MIN(found.gl_pathc, (size_t) SERIAL_PORTS_MAX), sizeof *list->ports);
        if (!list->ports)
                return -ENOMEM;
        for (size_t i = 0; i < found.gl_pathc && list->n_ports < SERIAL_PORTS_MAX && r == 0; i++)
                r = add_port(list, found.gl_pathv[i]);
        return r;
}

static void drop_shared_keys(struct port_list *list) {
        for (size_t i = 0; i < list->n_ports; i++) {
                bool is_shared = false;

                for (size_t j = i + 1; j < list->n_ports && list->ports[i].key[0]; j++)
                        if (strcmp(list->ports[i].key, list->ports[j].key) == 0) {
                                list->ports[j].key[0] = '\0';
                                is_shared = true;
                        }
                if (is_shared)
                        list->ports[i].key[0] = '\0';
        }
}

int serial_ports_list(const char *const *globs, size_t n_globs, const char *sysfs_root,
                      void (*found)(void *ctx, const struct gw_serial_port *port), void *ctx) {
        _cleanup_(port_list_deinit) struct port_list list = { 0 };
        int r = find_ports(globs, n_globs, &list);

        if (r < 0)
                return r;
        for (size_t i = 0; i < list.n_ports; i++)
                identify(sysfs_root ? sysfs_root : "/sys", &list.ports[i]);
        drop_shared_keys(&list);
        for (size_t i = 0; i < list.n_ports; i++) {
                const struct port *port = &list.ports[i];

                found(ctx, &(struct gw_serial_port){
                                   .path = port->path,
                                   .key = port->key,
                                   .usb_serial = port->usb_serial,
                                   .manufacturer = port->manufacturer,
                                   .product = port->product,
                                   .usb_vendor_id = port->usb_vendor_id,
                                   .usb_product_id = port->usb_product_id,
                                   .usb_interface = port->usb_interface,
                           });
        }
        return 0;
}
