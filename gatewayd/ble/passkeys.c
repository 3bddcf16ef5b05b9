/* SPDX-License-Identifier: Apache-2.0 */
#include "ble/passkeys.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "ble/address.h"
#include "ble/limits.h"

struct secret {
        char *text; /* BLE_PASSKEY_FILE_MAX + 1 bytes */
};

static void secret_wipe(struct secret *secret) {
        if (!secret->text)
                return;
        explicit_bzero(secret->text, BLE_PASSKEY_FILE_MAX + 1);
        free(secret->text);
}

static int unsafe(struct gw_error *err, const char *path, const char *why) {
        gw_error_set(err, "passkey-file-unsafe", "%s: %s", path, why);
        return -EINVAL;
}

static int check_file(int fd, const char *path, struct gw_error *err) {
        struct stat facts;
        if (fstat(fd, &facts) < 0)
                return unsafe(err, path, strerror(errno));
        if (!S_ISREG(facts.st_mode))
                return unsafe(err, path, "it is no ordinary file");
        if (facts.st_uid != geteuid())
                return unsafe(err, path, "it belongs to another user than gatewayd's");
        if (facts.st_mode & 077)
                return unsafe(err, path, "others may read or write it, its mode must be 0600");
        if (facts.st_size > BLE_PASSKEY_FILE_MAX)
                return unsafe(err, path, "it is too large");
        return 0;
}

static int read_file(const char *path, struct secret *secret, struct gw_error *err) {
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        size_t size = 0;
        ssize_t n_read;
        int r = fd < 0 ? unsafe(err, path, strerror(errno)) : check_file(fd, path, err);
        if (r < 0)
                return r;
        secret->text = calloc(1, BLE_PASSKEY_FILE_MAX + 1);
        if (!secret->text)
                return -ENOMEM;
        while (size < BLE_PASSKEY_FILE_MAX && (n_read = read(fd, secret->text + size, BLE_PASSKEY_FILE_MAX - size)) > 0)
                size += (size_t) n_read;
        return 0;
}

static bool key_of_word(const char *word, char ret_key[GW_GATT_KEY_SIZE]) {
        char address[BLE_ADDRESS_SIZE] = "";
        if (strlen(word) == GW_GATT_KEY_SIZE - 1)
                ble_address_from_key(word, address);
        return ble_key_from_address(address[0] ? address : word, ret_key) >= 0;
}

/* One line without its comment. 1: it is the one; 0: it is another, or empty; -EINVAL. */
static int read_line(char *line, const char *key, uint32_t *ret_passkey) {
        char *rest = NULL, *name = strtok_r(line, " \t\r", &rest), *digits = name ? strtok_r(NULL, " \t\r", &rest) : NULL;
        char line_key[GW_GATT_KEY_SIZE];
        if (!name)
                return 0;
        if (!digits || strtok_r(NULL, " \t\r", &rest) || !key_of_word(name, line_key) || strlen(digits) != 6 || strspn(digits, "0123456789") != 6)
                return -EINVAL;
        if (strcmp(line_key, key) != 0)
                return 0;
        *ret_passkey = (uint32_t) strtoul(digits, NULL, 10);
        return 1;
}

int passkeys_find(const char *path, const char *key, uint32_t *ret_passkey, struct gw_error *err) {
        _cleanup_(secret_wipe) struct secret secret = { 0 };
        uint32_t passkey = 0;
        bool found = false;
        int r, number = 1;
        if (!path || !path[0])
                return unsafe(err, "passkey_file in [ble]", "it is not set");
        r = read_file(path, &secret, err);
        if (r < 0)
                return r;
        for (char *rest = secret.text, *line; (line = strsep(&rest, "\n")); number++) {
                char why[48];
                line[strcspn(line, "#")] = '\0';
                r = read_line(line, key, &passkey);
                (void) str_format(why, sizeof why, "line %d is not `<key or address> <6 digits>`", number);
                if (r < 0)
                        return unsafe(err, path, why);
                found = found || r > 0;
        }
        if (!found) {
                gw_error_set(err, "passkey-missing", "%s has no line for %s", path, key);
                return -ENOENT;
        }
        *ret_passkey = passkey;
        return 0;
}
