/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Ids (jti) of signed commands that were carried out: each counts once. A row lives until its command could not be accepted any more,
 * so there are few; JTI_ROWS_MAX bounds them. See store.h for transactions, durability and errors.
 */

#include "store/store.h"

#define JTI_ROWS_MAX 10000

/* Takes the id down, in the transaction of what the command does. -EEXIST: it is known. -ENOSPC: JTI_ROWS_MAX are. */
int jti_table_take(struct store *store, const char *kid, const char *jti, int64_t forget_ms);
/* Deletes what is forgotten by now. */
int jti_table_forget(struct store *store, int64_t now_ms);
