/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Intrusive doubly linked list. The head is a struct list, each element embeds one; the list owns nothing. A node that is
 * in no list is linked to itself after list_init(), so that list_remove() is always safe.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

struct list {
        struct list *next;
        struct list *previous;
};

#define LIST_INIT(head) ((struct list){.next = &(head), .previous = &(head)})

static inline void list_init(struct list *node) {
        node->next = node;
        node->previous = node;
}

static inline bool list_is_empty(const struct list *head) {
        return head->next == head;
}

/* Is this node in a list? Only after list_init(). */
static inline bool list_is_linked(const struct list *node) {
        return node->next != node;
}

/* Inserts node behind position (behind the head: at the front). */
static inline void list_insert_after(struct list *position, struct list *node) {
        node->previous = position;
        node->next = position->next;
        position->next->previous = node;
        position->next = node;
}

static inline void list_prepend(struct list *head, struct list *node) {
        list_insert_after(head, node);
}

/* Also: inserts node before position. */
static inline void list_append(struct list *head, struct list *node) {
        list_insert_after(head->previous, node);
}

static inline void list_remove(struct list *node) {
        node->next->previous = node->previous;
        node->previous->next = node->next;
        list_init(node);
}

/* Takes the first node out; NULL when empty. */
static inline struct list *list_pop(struct list *head) {
        struct list *first = head->next;

        if (first == head)
                return NULL;
        list_remove(first);
        return first;
}

static inline size_t list_count(const struct list *head) {
        size_t n = 0;

        for (const struct list *node = head->next; node != head; node = node->next)
                n++;
        return n;
}

#define LIST_ENTRY(node, type, member) container_of(node, type, member)

#define LIST_FIRST(head, type, member) (list_is_empty(head) ? NULL : container_of((head)->next, type, member))

/* Every element; it may not be removed within. */
#define LIST_FOREACH(entry, head, member)                                                                                                  \
        for ((entry) = container_of((head)->next, __typeof__(*(entry)), member); &(entry)->member != (head);                               \
             (entry) = container_of((entry)->member.next, __typeof__(*(entry)), member))

/* Every element; the current one (and only it) may be removed or freed within. `spare` is a second pointer of the same type. */
#define LIST_FOREACH_SAFE(entry, spare, head, member)                                                                                      \
        for ((entry) = container_of((head)->next, __typeof__(*(entry)), member),                                                           \
            (spare) = container_of((entry)->member.next, __typeof__(*(entry)), member);                                                    \
             &(entry)->member != (head); (entry) = (spare), (spare) = container_of((entry)->member.next, __typeof__(*(entry)), member))
