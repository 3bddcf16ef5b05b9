/* SPDX-License-Identifier: Apache-2.0 */
#include "progress.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- pictures --- */

static struct progress *make(struct style style) {
        struct progress *progress;

        assert_int_equal(progress_new(NULL, true, &style, &progress), 0);
        return progress;
}

static void set(struct progress *progress, const char *device, struct progress_state state) {
        assert_int_equal(progress_set(progress, device, &state), 0);
}

static void assert_picture(struct progress *progress, unsigned rows, const char *expected) {
        struct strbuf out = STRBUF_INIT(100000);

        assert_int_equal(progress_render(progress, rows, &out), 0);
        assert_string_equal(strbuf_text(&out), expected);
        strbuf_deinit(&out);
        progress_free(progress);
}

static void fill(struct progress *progress) {
        set(progress, "smp-udp:a",
            (struct progress_state){ .phase = PROGRESS_RUNNING, .step = "upload", .percent = 62, .rate_bytes_s = 35021, .eta_ms = 3400 });
        set(progress, "smp-udp:bb",
            (struct progress_state){ .phase = PROGRESS_RUNNING, .step = "return", .waiting = "swapping", .percent = -1, .attempt = 2 });
        set(progress, "smp-udp:c", (struct progress_state){ .phase = PROGRESS_QUEUED, .waiting = "concurrency", .percent = -1 });
        set(progress, "smp-udp:d",
            (struct progress_state){ .phase = PROGRESS_SUCCEEDED, .outcome = "updated, proof hash-active-confirmed", .percent = -1 });
        set(progress, "smp-udp:e",
            (struct progress_state){ .phase = PROGRESS_FAILED, .outcome = "failed: smp-swap-refused", .percent = -1 });
        set(progress, "smp-udp:f", (struct progress_state){ .phase = PROGRESS_RUNNING, .percent = -1 });
        set(progress, "smp-udp:g", (struct progress_state){ .phase = PROGRESS_QUEUED, .percent = -1 });
}

static void test_every_phase(void **state) {
        struct progress *progress = make((struct style){ .utf8 = true });

        (void) state;
        fill(progress);
        assert_picture(progress, 0,
                       "smp-udp:a   upload   ████████████░░░░░░░░  62 %  34.2 KiB/s  3 s left\n"
                       "smp-udp:bb  return, waits: swapping (attempt 2)\n"
                       "smp-udp:c   waits: concurrency\n"
                       "smp-udp:d   updated, proof hash-active-confirmed\n"
                       "smp-udp:e   failed: smp-swap-refused\n"
                       "smp-udp:f   begins\n"
                       "smp-udp:g   queued\n"
                       "2 of 7 done, 1 without success, 3 running, 2 waiting\n");
}

static void test_without_utf8(void **state) {
        struct progress *progress = make((struct style){ 0 });

        (void) state;
        set(progress, "smp-udp:a", (struct progress_state){ .phase = PROGRESS_RUNNING, .step = "upload", .percent = 100, .eta_ms = 10 });
        assert_picture(progress, 0, "smp-udp:a  upload   [####################] 100 %  1 s left\n");
}

static void test_few_rows_show_what_moves(void **state) {
        struct progress *progress = make((struct style){ 0 });

        (void) state;
        fill(progress);
        assert_picture(progress, 6,
                       "smp-udp:a   upload   [############........]  62 %  34.2 KiB/s  3 s left\n"
                       "smp-udp:bb  return, waits: swapping (attempt 2)\n"
                       "smp-udp:f   begins\n"
                       "smp-udp:e   failed: smp-swap-refused\n"
                       "2 of 7 done, 1 without success, 3 running, 2 waiting\n");
}

static void test_a_line_is_never_wider_than_the_terminal(void **state) {
        struct progress *progress = make((struct style){ .utf8 = true, .colour = true, .columns = 40 });

        (void) state;
        set(progress, "smp-serial:a-very-long-serial-number-of-a-board-if02",
            (struct progress_state){ .phase = PROGRESS_FAILED, .outcome = "failed: smp-swap-refused", .percent = -1 });
        set(progress, "smp-udp:a", (struct progress_state){ .phase = PROGRESS_RUNNING, .step = "upload", .percent = 5 });
        assert_picture(progress, 0,
                       "smp-serial:a-very-l…  failed: smp-swap-…\n"
                       "smp-udp:a             upload   █░░░░░░░…\n"
                       "1 of 2 done, 1 without success, 1 runni…\n");
}

static void test_counts(void **state) {
        struct progress *progress = make((struct style){ 0 });

        (void) state;
        fill(progress);
        assert_int_equal(progress_count(progress, PROGRESS_RUNNING), 3);
        assert_int_equal(progress_count(progress, PROGRESS_FAILED), 1);
        set(progress, "smp-udp:a", (struct progress_state){ .phase = PROGRESS_FAILED, .outcome = "canceled", .percent = -1 });
        assert_int_equal(progress_count(progress, PROGRESS_RUNNING), 2);
        assert_int_equal(progress_count(progress, PROGRESS_FAILED), 2);
        progress_free(progress);
}

/* --- streams --- */

struct stream {
        char *text;
        size_t size;
        FILE *file;
        struct progress *progress;
};

static void open_stream(struct stream *stream, bool live) {
        static const struct style style = { 0 };

        stream->file = open_memstream(&stream->text, &stream->size);
        assert_non_null(stream->file);
        assert_int_equal(progress_new(stream->file, live, &style, &stream->progress), 0);
}

static void assert_stream(struct stream *stream, const char *expected) {
        fflush(stream->file);
        assert_string_equal(stream->text, expected);
        progress_free(stream->progress);
        fclose(stream->file);
        free(stream->text);
}

static void test_elsewhere_a_line_for_every_change(void **state) {
        struct stream stream;

        (void) state;
        open_stream(&stream, false);
        set(stream.progress, "a", (struct progress_state){ .phase = PROGRESS_QUEUED, .percent = -1 });
        set(stream.progress, "a", (struct progress_state){ .phase = PROGRESS_RUNNING, .step = "upload", .percent = 0 });
        set(stream.progress, "a",
            (struct progress_state){ .phase = PROGRESS_RUNNING, .step = "upload", .percent = 50, .rate_bytes_s = 1000, .attempt = 1 });
        set(stream.progress, "a", (struct progress_state){ .phase = PROGRESS_RUNNING, .step = "upload", .percent = 51, .attempt = 2 });
        set(stream.progress, "a", (struct progress_state){ .phase = PROGRESS_SUCCEEDED, .outcome = "already", .percent = -1 });
        assert_false(progress_is_stale(stream.progress));
        progress_draw(stream.progress);
        progress_erase(stream.progress);
        assert_stream(&stream, "a: queued\na: upload\na: upload (attempt 2)\na: already\n");
}

static void test_elsewhere_no_line_twice(void **state) {
        struct stream stream;

        (void) state;
        open_stream(&stream, false);
        set(stream.progress, "a", (struct progress_state){ .phase = PROGRESS_QUEUED, .percent = -1 });
        set(stream.progress, "a", (struct progress_state){ .phase = PROGRESS_QUEUED, .step = "inspect", .percent = -1 });
        set(stream.progress, "a", (struct progress_state){ .phase = PROGRESS_SUCCEEDED, .outcome = "already", .percent = -1 });
        set(stream.progress, "a", (struct progress_state){ .phase = PROGRESS_SUCCEEDED, .outcome = "already", .percent = -1, .attempt = 1 });
        assert_stream(&stream, "a: queued\na: already\n");
}

static void test_overtaken_news_are_left_out(void **state) {
        struct stream stream;

        (void) state;
        open_stream(&stream, false);
        set(stream.progress, "a", (struct progress_state){ .phase = PROGRESS_RUNNING, .step = "write", .percent = 0, .attempt = 1 });
        set(stream.progress, "a", (struct progress_state){ .phase = PROGRESS_QUEUED, .percent = -1 });
        set(stream.progress, "a", (struct progress_state){ .phase = PROGRESS_QUEUED, .waiting = "paused", .percent = -1, .attempt = 1 });
        set(stream.progress, "a", (struct progress_state){ .phase = PROGRESS_RUNNING, .step = "write", .percent = 0, .attempt = 1 });
        set(stream.progress, "a", (struct progress_state){ .phase = PROGRESS_QUEUED, .percent = -1, .attempt = 2 });
        assert_stream(&stream, "a: write\na: waits: paused\na: write\na: queued (attempt 2)\n");
}

static void test_an_older_answer_takes_nothing_back(void **state) {
        struct stream stream;
        struct progress_state queued = { .phase = PROGRESS_QUEUED, .percent = -1 };
        struct progress_state again = { .phase = PROGRESS_QUEUED, .percent = -1, .attempt = 2 };

        (void) state;
        open_stream(&stream, false);
        set(stream.progress, "a", (struct progress_state){ .phase = PROGRESS_SUCCEEDED, .outcome = "updated", .percent = -1, .attempt = 1 });
        assert_int_equal(progress_look(stream.progress, "a", &queued), 0);
        assert_int_equal(progress_look(stream.progress, "b", &queued), 0);
        assert_int_equal(progress_look(stream.progress, "a", &again), 0);
        assert_stream(&stream, "a: updated\nb: queued\na: queued (attempt 2)\n");
}

static void test_on_a_terminal_drawn_over_the_old_picture(void **state) {
        struct stream stream;

        (void) state;
        open_stream(&stream, true);
        set(stream.progress, "a", (struct progress_state){ .phase = PROGRESS_QUEUED, .percent = -1 });
        set(stream.progress, "b", (struct progress_state){ .phase = PROGRESS_QUEUED, .percent = -1 });
        assert_true(progress_is_stale(stream.progress));
        progress_draw(stream.progress);
        assert_false(progress_is_stale(stream.progress));
        set(stream.progress, "a", (struct progress_state){ .phase = PROGRESS_SUCCEEDED, .outcome = "already", .percent = -1 });
        progress_draw(stream.progress);
        progress_erase(stream.progress);
        progress_erase(stream.progress);
        assert_stream(&stream, "a  queued\033[K\nb  queued\033[K\n0 of 2 done, 0 running, 2 waiting\033[K\n\033[J"
                               "\033[3A\r"
                               "a  already\033[K\nb  queued\033[K\n1 of 2 done, 0 running, 1 waiting\033[K\n\033[J"
                               "\033[3A\r\033[J");
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_phase),
                cmocka_unit_test(test_without_utf8),
                cmocka_unit_test(test_few_rows_show_what_moves),
                cmocka_unit_test(test_a_line_is_never_wider_than_the_terminal),
                cmocka_unit_test(test_counts),
                cmocka_unit_test(test_elsewhere_a_line_for_every_change),
                cmocka_unit_test(test_elsewhere_no_line_twice),
                cmocka_unit_test(test_overtaken_news_are_left_out),
                cmocka_unit_test(test_an_older_answer_takes_nothing_back),
                cmocka_unit_test(test_on_a_terminal_drawn_over_the_old_picture),
        };

        text_init();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
