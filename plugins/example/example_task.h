/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A function of example_folder.h on a pool thread, then one of ours on the loop. The pool thread touches nothing but the task, so
 * whoever started it may be freed at any moment. A task frees itself.
 */

#include "example_folder.h"

struct task {
        void *owner; /* NULL: nobody waits for it any more */
        struct gw_work *handle;
        int (*act)(struct folder_work *work);
        void (*then)(void *owner, struct task *task, int r); /* on the loop; must forget the task */
        int result;
        struct folder_work work;
};

/* NULL: no memory. */
struct task *task_new(const struct gw_host *host, void *owner, const char *folder);
/* Takes the task over, also on failure. *ret_task is set before anything else can happen. */
int task_start(struct task *task, const struct gw_host *host, struct task **ret_task);
/* `then` does not come any more. NULL is fine. */
void task_forget(const struct gw_host *host, struct task *task);
