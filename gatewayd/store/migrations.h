/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The schema, version by version. PRAGMA user_version holds the number of migrations that were carried out; a new database goes
 * through all of them. A migration that was released is never changed: add the next one.
 */

#include <stddef.h>
#include <stdint.h>

#define STORE_APPLICATION_ID 0x67776479 /* "gwdy", in the header of the file */

extern const char *const store_migrations[];
extern const size_t n_store_migrations; /* = the schema version this program writes */
