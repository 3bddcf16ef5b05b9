/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Automatic cleanup of locals, and the few macros that every file wants.
 *
 * A local that owns something is declared with the cleanup attribute and handed over with TAKE_PTR / TAKE_FD:
 *
 *     _cleanup_(thing_freep) struct thing *thing = NULL;
 *     ...
 *     *ret_thing = TAKE_PTR(thing);
 *
 * DEFINE_CLEANUP(struct thing *, thing_free) makes thing_freep(). Nothing that owns a loop handle may use this: such objects
 * end in two phases.
 */

#include <dirent.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(function) __attribute__((cleanup(function)))

/* Defines function##p(), which calls function on what a local points to, unless that is NULL. */
#define DEFINE_CLEANUP(type, function)                                                                                             \
        static inline void function##p(type *object) {                                                                             \
                if (*object)                                                                                                       \
                        function(*object);                                                                                         \
        }                                                                                                                          \
        struct cleanup_needs_a_semicolon

/* Gives the value of an owning pointer and leaves NULL behind. */
#define TAKE_PTR(pointer)                                                                                                          \
        ({                                                                                                                         \
                __typeof__(pointer) *take_from_ = &(pointer);                                                                      \
                __typeof__(pointer) take_value_ = *take_from_;                                                                     \
                *take_from_ = NULL;                                                                                                \
                take_value_;                                                                                                       \
        })

/* Gives the value of an owning descriptor and leaves -1 behind. */
#define TAKE_FD(descriptor)                                                                                                        \
        ({                                                                                                                         \
                int *take_fd_from_ = &(descriptor);                                                                                \
                int take_fd_value_ = *take_fd_from_;                                                                               \
                *take_fd_from_ = -1;                                                                                               \
                take_fd_value_;                                                                                                    \
        })

static inline void cleanup_free(void *pointer) {
        free(*(void **)pointer);
}

/* Closes unless negative; errno survives, so that `return -errno` before the end of the scope stays right. */
static inline void cleanup_close(int *descriptor) {
        int saved = errno;

        if (*descriptor >= 0)
                close(*descriptor);
        errno = saved;
}

DEFINE_CLEANUP(FILE *, fclose);
DEFINE_CLEANUP(DIR *, closedir);

#define _cleanup_free_ _cleanup_(cleanup_free)
#define _cleanup_close_ _cleanup_(cleanup_close)
#define _cleanup_fclose_ _cleanup_(fclosep)
#define _cleanup_closedir_ _cleanup_(closedirp)

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#ifndef MIN
#define MIN(a, b)                                                                                                                  \
        ({                                                                                                                         \
                __typeof__(a) min_a_ = (a);                                                                                        \
                __typeof__(b) min_b_ = (b);                                                                                        \
                min_a_ < min_b_ ? min_a_ : min_b_;                                                                                 \
        })
#endif

#ifndef MAX
#define MAX(a, b)                                                                                                                  \
        ({                                                                                                                         \
                __typeof__(a) max_a_ = (a);                                                                                        \
                __typeof__(b) max_b_ = (b);                                                                                        \
                max_a_ > max_b_ ? max_a_ : max_b_;                                                                                 \
        })
#endif

/* The object of `type` whose embedded `member` is at `pointer`. */
#define container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))
