/* SPDX-License-Identifier: Apache-2.0 */
#include "example_task.h"

#include <stdlib.h>
#include <unistd.h>

static void task_run(void *ctx) {
        struct task *task = ctx;

        task->result = task->act(&task->work);
}

static void task_done(void *ctx, int result) {
        struct task *task = ctx;

        if (task->owner)
                task->then(task->owner, task, result < 0 ? result : task->result);
        if (task->work.fd >= 0)
                close(task->work.fd);
        free(task);
}

struct task *task_new(const struct gw_host *host, void *owner, const char *folder) {
        struct task *task = calloc(1, sizeof *task);

        if (!task)
                return NULL;
        task->owner = owner;
        task->work.fd = -1;
        task->work.slice = (size_t) host->settings_ops->get_number(host->settings, "slice");
        snprintf(task->work.folder, sizeof task->work.folder, "%s", folder ? folder : "");
        return task;
}

int task_start(struct task *task, const struct gw_host *host, struct task **ret_task) {
        int r = host->worker->start(host, task_run, task_done, task, &task->handle);

        if (r == 0) {
                *ret_task = task;
                return 0;
        }
        if (task->work.fd >= 0)
                close(task->work.fd);
        free(task);
        return r;
}

void task_forget(const struct gw_host *host, struct task *task) {
        if (!task)
                return;
        task->owner = NULL;
        host->worker->cancel(task->handle);
}
