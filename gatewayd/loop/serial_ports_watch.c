/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "loop/loop_internal.h"
#include "loop/serial_ports.h"
#include "loop/timer.h"

/*
 * inotify by hand and not uv_fs_event_t: that one also asks for IN_MODIFY, and in /dev every byte written to any terminal, ours
 * included, is a modification: the daemon would wake for each.
 */
#define WATCH_EVENTS (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)
#define WATCH_ATTEMPTS 3
#define WATCH_GONE (IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF)

/* One glob. Where its folder does not exist yet, the nearest one above is watched for the next name on the way. */
struct watched_glob {
        char *folder;   /* without wildcards */
        char *pattern;  /* of the names in it; "*" where a wildcard stands in the middle of the path */
        char *awaited;  /* NULL: the folder itself is watched */
        int descriptor; /* of inotify, -1 none */
};

struct serial_ports_watch {
        struct loop *loop;
        uv_poll_t poll;
        int fd;
        loop_fn changed;
        void *ctx;
        struct timer *delay;
        size_t n_globs;
        struct watched_glob globs[];
};

/* ---- setting the watches */

static void unwatch(struct serial_ports_watch *watch, struct watched_glob *glob) {
        int descriptor = glob->descriptor;

        free(TAKE_PTR(glob->awaited));
        glob->descriptor = -1;
        for (size_t i = 0; i < watch->n_globs; i++)
                if (watch->globs[i].descriptor == descriptor)
                        return;
        if (descriptor >= 0)
                inotify_rm_watch(watch->fd, descriptor);
}

/* Watches path for the name that follows it in the glob's folder. false: that one exists by now. */
static bool watch_above(struct serial_ports_watch *watch, struct watched_glob *glob, const char *path, size_t path_size) {
        const char *name = glob->folder + path_size + (glob->folder[path_size] == '/');
        char below[PATH_MAX];

        glob->descriptor = inotify_add_watch(watch->fd, path_size > 0 ? path : "/", WATCH_EVENTS);
        if (glob->descriptor < 0)
                return true;
        glob->awaited = strndup(name, strcspn(name, "/"));
        str_copy_n(below, sizeof below, glob->folder, (size_t) (name - glob->folder) + strcspn(name, "/"));
        return access(below, F_OK) < 0;
}

/* The folder, or the nearest one above that exists. false: what is awaited there was made between the two calls. */
static bool watch_nearest(struct serial_ports_watch *watch, struct watched_glob *glob) {
        char path[PATH_MAX];
        char *slash;

        unwatch(watch, glob);
        glob->descriptor = inotify_add_watch(watch->fd, glob->folder, WATCH_EVENTS);
        if (glob->descriptor >= 0 || str_copy(path, sizeof path, glob->folder) < 0)
                return true;
        while ((slash = strrchr(path, '/'))) {
                *slash = '\0';
                if (!watch_above(watch, glob, path, (size_t) (slash - path)))
                        return false;
                if (glob->descriptor >= 0)
                        return true;
        }
        return true;
}

static void watch_again(struct serial_ports_watch *watch, struct watched_glob *glob) {
        /* Not for ever: what exists may also be no folder, or one that we may not look into. */
        for (int attempt = 0; attempt < WATCH_ATTEMPTS && !watch_nearest(watch, glob); attempt++)
                ;
}

/* ---- events */

static void on_delay_over(void *ctx) {
        struct serial_ports_watch *watch = ctx;

        watch->delay = NULL;
        watch->changed(watch->ctx);
}

/* true: something that the glob may list has changed. */
static bool take_event(struct serial_ports_watch *watch, struct watched_glob *glob, const struct inotify_event *event) {
        if (event->mask & IN_Q_OVERFLOW)
                return true;
        if (event->wd != glob->descriptor)
                return false;
        if (event->mask & WATCH_GONE) {
                if (event->mask & IN_IGNORED)
                        glob->descriptor = -1;
                watch_again(watch, glob);
                return true;
        }
        if (event->len == 0)
                return false;
        if (!glob->awaited)
                return str_glob_match(glob->pattern, event->name);
        if (strcmp(glob->awaited, event->name) != 0)
                return false;
        watch_again(watch, glob);
        return true;
}

static void on_poll(uv_poll_t *poll, int status, int events) {
        struct serial_ports_watch *watch = poll->data;
        _Alignas(struct inotify_event) char data[4096];
        ssize_t n = read(watch->fd, data, sizeof data);
        bool is_changed = false;
        (void) status;
        (void) events;

        for (char *at = data; n > 0 && at < data + n;) {
                const struct inotify_event *event = (const struct inotify_event *) at;

                for (size_t i = 0; i < watch->n_globs; i++)
                        if (take_event(watch, &watch->globs[i], event))
                                is_changed = true;
                at += sizeof *event + event->len;
        }
        if (is_changed && !watch->delay)
                timer_start(watch->loop, SERIAL_WATCH_DELAY_MS, on_delay_over, watch, &watch->delay);
}

/* ---- life */

static int watched_glob_init(struct watched_glob *glob, const char *text) {
        size_t n_fixed = strcspn(text, "*?[");
        const char *slash = text;

        glob->descriptor = -1;
        for (const char *c = text; c < text + n_fixed; c++)
                if (*c == '/')
                        slash = c;
        glob->folder = strndup(text, MAX((size_t) (slash - text), (size_t) 1));
        glob->pattern = strdup(strchr(slash + 1, '/') ? "*" : slash + 1);
        return glob->folder && glob->pattern ? 0 : -ENOMEM;
}

static void watch_free_memory(struct serial_ports_watch *watch) {
        for (size_t i = 0; i < watch->n_globs; i++) {
                free(watch->globs[i].folder);
                free(watch->globs[i].pattern);
                free(watch->globs[i].awaited);
        }
        if (watch->fd >= 0)
                close(watch->fd);
        free(watch);
}

static int watch_open(struct serial_ports_watch *watch, const char *const *globs) {
        int r;

        watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
        if (watch->fd < 0)
                return -errno;
        for (size_t i = 0; i < watch->n_globs; i++) {
                r = globs[i][0] == '/' ? watched_glob_init(&watch->globs[i], globs[i]) : -EINVAL;
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < watch->n_globs; i++)
                watch_again(watch, &watch->globs[i]);
        r = uv_poll_init(&watch->loop->uv, &watch->poll, watch->fd);
        if (r < 0)
                return r;
        watch->poll.data = watch;
        return uv_poll_start(&watch->poll, UV_READABLE, on_poll);
}

int serial_ports_watch_new(struct loop *loop, const char *const *globs, size_t n_globs, loop_fn changed, void *ctx,
                           struct serial_ports_watch **ret_watch) {
        struct serial_ports_watch *watch = calloc(1, sizeof *watch + n_globs * sizeof watch->globs[0]);
        int r;

        if (!watch)
                return -ENOMEM;
        watch->loop = loop;
        watch->changed = changed;
        watch->ctx = ctx;
        watch->n_globs = n_globs;
        r = watch_open(watch, globs);
        if (r < 0) {
                watch_free_memory(watch);
                return r;
        }
        *ret_watch = watch;
        return 0;
}

static void on_poll_closed(uv_handle_t *handle) {
        struct serial_ports_watch *watch = handle->data;

        watch_free_memory(watch);
}

void serial_ports_watch_free(struct serial_ports_watch *watch) {
        if (!watch)
                return;
        timer_cancel(watch->delay);
        uv_close((uv_handle_t *) &watch->poll, on_poll_closed);
}
