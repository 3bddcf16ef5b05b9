/* SPDX-License-Identifier: Apache-2.0 */
#include "base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct item {
        int number;
        struct list link;
};

static void test_order_and_removal(void **state) {
        struct item items[4] = {{.number = 1}, {.number = 2}, {.number = 3}, {.number = 4}}, *item, *spare;
        struct list head = LIST_INIT(head);
        int sum = 0, digits = 0;

        (void) state;
        assert_true(list_is_empty(&head));
        assert_null(LIST_FIRST(&head, struct item, link));
        for (size_t i = 0; i < ARRAY_SIZE(items); i++) {
                list_init(&items[i].link);
                assert_false(list_is_linked(&items[i].link));
        }
        list_append(&head, &items[1].link);
        list_append(&head, &items[2].link);
        list_prepend(&head, &items[0].link);
        list_append(&items[2].link, &items[3].link); /* before 3 */
        LIST_FOREACH(item, &head, link)
        digits = digits * 10 + item->number;
        assert_int_equal(digits, 1243);
        LIST_FOREACH_SAFE(item, spare, &head, link) {
                sum += item->number;
                if (item->number % 2 == 0)
                        list_remove(&item->link);
        }
        assert_int_equal(sum, 10);
        assert_int_equal(list_count(&head), 2);
        assert_false(list_is_linked(&items[1].link));
        list_remove(&items[1].link); /* again: harmless */
        assert_ptr_equal(LIST_FIRST(&head, struct item, link), &items[0]);
}

static void test_pop(void **state) {
        struct item items[2] = {{.number = 1}, {.number = 2}};
        struct list head = LIST_INIT(head);

        (void) state;
        list_append(&head, &items[0].link);
        list_append(&head, &items[1].link);
        assert_ptr_equal(list_pop(&head), &items[0].link);
        assert_ptr_equal(LIST_ENTRY(list_pop(&head), struct item, link), &items[1]);
        assert_null(list_pop(&head));
}

int main(void) {
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_order_and_removal), cmocka_unit_test(test_pop)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}
