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
#define DEFINE_CLEANUP(type, function)                                                                                                     \
        static inline void function##p(type *object) {                                                                                     \
                if (*object)                                                                                                               \
                        function(*object);                                                                                                 \
        }                                                                                                                                  \
        struct cleanup_needs_a_semicolon

/* Gives the value of an owning pointer and leaves NULL behind. */
#define TAKE_PTR(pointer)                                                                                                                  \
        ({                                                                                                                                 \
                __typeof__(pointer) *take_from_ = &(pointer);                                                                              \
                __typeof__(pointer) take_value_ = *take_from_;                                                                             \
                *take_from_ = NULL;                                                                                                        \
                take_value_;                                                                                                               \
        })

/* Gives the value of an owning descriptor and leaves -1 behind. */
#define TAKE_FD(descriptor)                                                                                                                \
        ({                                                                                                                                 \
                int *take_fd_from_ = &(descriptor);                                                                                        \
                int take_fd_value_ = *take_fd_from_;                                                                                       \
                *take_fd_from_ = -1;                                                                                                       \
                take_fd_value_;                                                                                                            \
        })

static inline void cleanup_free(void *pointer) {
        free(*(void **) pointer);
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

/* Each use gets names of its own, so that these can be nested without shadowing. */
#define CLEANUP_JOIN_(a, b) a##b
#define CLEANUP_JOIN(a, b) CLEANUP_JOIN_(a, b)
#define CLEANUP_CHOOSE(a, b, operator, name_a, name_b)                                                                                     \
        ({                                                                                                                                 \
                __typeof__(a) name_a = (a);                                                                                                \
                __typeof__(b) name_b = (b);                                                                                                \
                name_a operator name_b ? name_a : name_b;                                                                                  \
        })

#undef MIN
#undef MAX
#define MIN(a, b) CLEANUP_CHOOSE(a, b, <, CLEANUP_JOIN(min_a_, __COUNTER__), CLEANUP_JOIN(min_b_, __COUNTER__))
#define MAX(a, b) CLEANUP_CHOOSE(a, b, >, CLEANUP_JOIN(max_a_, __COUNTER__), CLEANUP_JOIN(max_b_, __COUNTER__))

/* The object of `type` whose embedded `member` is at `pointer`. */
#define container_of(pointer, type, member) ((type *) ((char *) (pointer) -offsetof(type, member)))
