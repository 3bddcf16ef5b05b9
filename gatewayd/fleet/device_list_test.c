/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/device_list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

/* What was reported, as "line:column text" lines. */
static char reported[4096];

static void note(void *ctx, unsigned line, unsigned column, const char *text) {
        size_t used = strlen(reported);

        (void) ctx;
        snprintf(reported + used, sizeof(reported) - used, "%u:%u %s\n", line, column, text);
}

static struct device_list *parse(const char *text) {
        struct device_list *list = NULL;

        reported[0] = '\0';
        assert_int_equal(device_list_parse(text, strlen(text), note, NULL, &list), 0);
        return list;
}

static void test_csv(void **state) {
        _cleanup_(device_list_freep) struct device_list *list =
                parse("\xef\xbb\xbf"
                      "id,name,model,labels,address\r\n"
                      "# the ground floor\r\n"
                      "smp-udp:kitchen,\"Kitchen, \"\"left\"\"\",\"acme,sensor-r2\", sensor  kitchen ,192.0.2.7:1337\r\n"
                      "\r\n"
                      "smp-udp:hall,,,,\n"
                      "smp-serial:000683-if02 , Küche ,,,\"\"");

        (void) state;
        assert_string_equal(reported, "");
        assert_int_equal(list->n_entries, 3);
        assert_string_equal(list->entries[0].id, "smp-udp:kitchen");
        assert_string_equal(list->entries[0].name, "Kitchen, \"left\"");
        assert_string_equal(list->entries[0].model, "acme,sensor-r2");
        assert_string_equal(list->entries[0].address, "192.0.2.7:1337");
        assert_int_equal(list->entries[0].labels.n_items, 2);
        assert_string_equal(list->entries[0].labels.items[1], "kitchen");
        assert_int_equal(list->entries[0].line, 3);
        assert_null(list->entries[1].name);
        assert_false(list->entries[1].labels_stated);
        assert_string_equal(list->entries[2].name, "Küche");
        assert_null(list->entries[2].address);
}

static void test_columns_in_any_order(void **state) {
        _cleanup_(device_list_freep) struct device_list *list = parse("model,id\nacme,\nr2,smp-udp:a\n");

        (void) state;
        assert_string_equal(reported, "2:6 expected a device id, <driver>:<key>\n");
        assert_string_equal(list->entries[1].model, "r2");
}

static void test_plain(void **state) {
        _cleanup_(device_list_freep) struct device_list *list = parse("# adopted\n\nsmp-udp:a\n  smp-udp:b  \nsmp-ble:DE063B974CD8\n");

        (void) state;
        assert_string_equal(reported, "");
        assert_int_equal(list->n_entries, 3);
        assert_string_equal(list->entries[1].id, "smp-udp:b");
        assert_int_equal(list->entries[2].line, 5);
}

static void test_nothing(void **state) {
        static const char *const texts[] = {"", "\n\n", "# nobody\n", "id,name\n", "\r\n"};

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                _cleanup_(device_list_freep) struct device_list *list = parse(texts[i]);

                assert_string_equal(reported, "");
                assert_int_equal(list->n_entries, 0);
        }
}

static void test_mistakes(void **state) {
        static const struct {
                const char *text, *expected;
        } rows[] = {
                {"kitchen\n", "1:1 unknown column \"kitchen\": expected id, name, model, labels, address\n"
                              "1:0 expected a device id, or a header line with the column id\n"},
                {"name,model\nx,y\n", "1:0 expected a device id, or a header line with the column id\n"},
                {"id,id\n", "1:4 column id is there twice\n"},
                {"id,name,name\nsmp-udp:a,b,c\n", "1:9 column name is there twice\n"},
                {"id,Name\nsmp-udp:a,x\n", "1:4 unknown column \"Name\": expected id, name, model, labels, address\n"},
                {"id,name\nsmp-udp:a\n", "2:0 expected 2 fields as in the header, found 1\n"},
                {"id,name\nsmp-udp:a,b,c\n", "2:0 expected 2 fields as in the header, found 3\n"},
                {"smp-udp:a\nsmp-udp:b,Name\n", "2:11 expected one id a line (more columns need a header line)\n"},
                {"id,name\nsmp-udp:a,\"open\n", "2:11 the quote is not closed\n"},
                {"id,name\nsmp-udp:a,\"a\"b\n", "2:14 expected a comma behind the quote\n"},
                {"id,model\nsmp-udp:a,acme sensor\nSMP:x,r2\n",
                 "2:11 expected a model such as acme,sensor-r2\n3:1 expected a device id, <driver>:<key>\n"},
                {"id,labels\nsmp-udp:a,x y x\nsmp-udp:b,ä\n",
                 "2:11 label x is there twice\n3:11 a label: expected 1 to 64 of A-Z a-z 0-9 _ . -\n"},
                {"smp-udp:a\nsmp-udp:b\nsmp-udp:a\n", "3:1 smp-udp:a stands in line 1 already\n"},
                {"smp-udp:a\n\x1b[31m\n", "2:0 holds bytes that are no text\n"},
                {"smp-udp:a\nsmp-udp:\xff\n", "2:0 holds bytes that are no text\n"},
                {"name,id\nKüche über,smp-udp:ä\n", "2:12 expected a device id, <driver>:<key>\n"},
        };

        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                _cleanup_(device_list_freep) struct device_list *list = parse(rows[i].text);

                assert_non_null(list);
                assert_string_equal(reported, rows[i].expected);
        }
}

static void test_limits(void **state) {
        _cleanup_strbuf_ struct strbuf text = STRBUF_INIT(1 << 20);
        struct device_list *list;

        (void) state;
        strbuf_append(&text, "id,labels\nsmp-udp:a,");
        for (int i = 0; i < 33; i++)
                strbuf_appendf(&text, " l%d", i);
        list = parse(strbuf_text(&text));
        assert_string_equal(reported, "2:12 more than 32 labels\n");
        device_list_free(list);

        strbuf_reset(&text);
        strbuf_append(&text, "smp-udp:first\n");
        for (int i = 0; i < 5000; i++)
                strbuf_append(&text, "x");
        list = parse(strbuf_text(&text));
        assert_string_equal(reported, "2:0 is longer than 4095 bytes\n");
        device_list_free(list);

        strbuf_reset(&text);
        for (int i = 0; i < 10001; i++)
                strbuf_appendf(&text, "smp-udp:d%d\n", i);
        list = parse(strbuf_text(&text));
        assert_string_equal(reported, "10001:0 more than 10000 devices\n");
        assert_int_equal(list->n_entries, 10000);
        device_list_free(list);

        list = parse("id,name,model,labels,address,,,,,,,,,,,,\n");
        assert_non_null(strstr(reported, "too many fields"));
        device_list_free(list);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_csv),      cmocka_unit_test(test_columns_in_any_order),
                cmocka_unit_test(test_plain),    cmocka_unit_test(test_nothing),
                cmocka_unit_test(test_mistakes), cmocka_unit_test(test_limits),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
