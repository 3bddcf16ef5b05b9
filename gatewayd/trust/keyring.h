/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The public keys whose campaigns and commands this gateway obeys: one file a key, `<kid>.pub`, in keys_dir of [trust]. A file is an
 * optional [scope] section and the PEM block of the key:
 *
 *     [scope]
 *     drivers = smp-serial smp-udp          documents must state their drivers, all of these
 *     groups = oslo                         only gateways in one of these groups
 *     audience = pi-oslo-*                  only gateways whose id one of these globs matches
 *     may_downgrade = no                    documents may neither allow downgrades nor roll back
 *     expires = 2027-12-31T00:00:00Z        then it signs nothing any more
 *     -----BEGIN PUBLIC KEY-----
 *     ...
 *
 * What is absent does not restrict. A file with any mistake is left out as a whole and remembered with its error, so that it can be
 * told. Of other files in the directory only one thing is told: that one holds a private key. Directory and files belong to root or
 * to the user who asks, and nobody else may write to them.
 *
 * A keyring is an immutable snapshot with a reference count, so that a reload never pulls it from under a worker. References are taken
 * and dropped on one thread; looking is for any.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gatewayd/plugin.h>

#include "base/str_list.h"
#include "trust/key.h"

#define KEYRING_DEFAULT_DIR "/etc/gatewayd/keys"
#define KEYRING_KEYS_MAX 256 /* files of the directory */

struct key_scope {
        struct str_list drivers;  /* empty: all */
        struct str_list groups;   /* empty: all */
        struct str_list audience; /* globs; empty: all */
        bool may_downgrade;
        int64_t expires_ms; /* wall clock; 0 never */
};

struct keyring_key {
        char *kid; /* 1 to 64 of A-Z a-z 0-9 _ . - */
        struct key *key;
        struct key_scope scope;
        uint8_t fingerprint[DIGEST_SIZE]; /* key_fingerprint() */
};

/* A file that was left out. */
struct keyring_fault {
        char *file; /* its name in the directory */
        struct gw_error error;
};

struct keyring;

/*
 * Reads the directory; blocks for as long as a few small files take. 0 also with faults and for a directory that does not exist (no
 * keys). keys-unreadable when the directory cannot be read, or others may write to it. -ENOMEM.
 */
int keyring_load(const char *directory, struct keyring **ret_keyring, struct gw_error *err);
struct keyring *keyring_ref(struct keyring *keyring);
void keyring_unref(struct keyring *keyring); /* NULL is fine */
DEFINE_CLEANUP(struct keyring *, keyring_unref);
#define _cleanup_keyring_ _cleanup_(keyring_unrefp)

/* NULL: unknown. Lent by the keyring. A NULL keyring has no keys. */
const struct keyring_key *keyring_find(const struct keyring *keyring, const char *kid);
size_t keyring_count(const struct keyring *keyring);
const struct keyring_key *keyring_at(const struct keyring *keyring, size_t index); /* sorted by kid */
size_t keyring_fault_count(const struct keyring *keyring);
const struct keyring_fault *keyring_fault_at(const struct keyring *keyring, size_t index);

/*
 * One file of the directory from memory: `name` ("ci.pub") gives the kid. -EINVAL with err: key-name, key-scope-invalid, or those of
 * key_read_public(). *ret_key is freed by keyring_key_free().
 */
int keyring_key_parse(const char *name, const char *text, size_t size, struct keyring_key **ret_key, struct gw_error *err);
void keyring_key_free(struct keyring_key *key);
