/* SPDX-License-Identifier: Apache-2.0 */
#include "progress.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define BAR_COLUMNS 20
#define BAR_STEP_COLUMNS 8 /* "upload", "confirm", "connect" */
#define NO_TERMINAL_COLUMNS 200

struct progress_job {
        char *device;
        enum progress_phase phase;
        char step[32];
        char waiting[48];
        char outcome[128];
        char *printed; /* its last line where there is no terminal */
        int percent;
        int64_t rate_bytes_s, eta_ms, attempt;
};

struct progress {
        FILE *stream;
        bool live;
        bool stale;
        struct style style;
        struct progress_job **jobs; /* in the order in which they were first told of */
        size_t n_jobs, capacity;
        void *index;      /* tsearch: by device */
        unsigned n_drawn; /* lines that stand on the terminal */
};

int progress_new(FILE *stream, bool live, const struct style *style, struct progress **ret_progress) {
        struct progress *progress = calloc(1, sizeof *progress);

        if (!progress)
                return -ENOMEM;
        progress->stream = stream;
        progress->live = live && stream;
        progress->style = *style;
        *ret_progress = progress;
        return 0;
}

static void keep_job(void *node) {
        (void) node; /* owned by the array */
}

void progress_free(struct progress *progress) {
        if (!progress)
                return;
        tdestroy(progress->index, keep_job);
        for (size_t i = 0; i < progress->n_jobs; i++) {
                free(progress->jobs[i]->printed);
                free(progress->jobs[i]->device);
                free(progress->jobs[i]);
        }
        free(progress->jobs);
        free(progress);
}

static int compare(const void *a, const void *b) {
        return strcmp(((const struct progress_job *) a)->device, ((const struct progress_job *) b)->device);
}

static struct progress_job *job_new(const char *device) {
        struct progress_job *job = calloc(1, sizeof *job);

        if (job)
                job->device = text_clean(device);
        if (job && job->device)
                return job;
        free(job);
        return NULL;
}

/* The job of this device, made where there is none. *ret_new: it was made. NULL: out of memory. */
static struct progress_job *job_of(struct progress *progress, const char *device, bool *ret_new) {
        struct progress_job *job = job_new(device), **found;

        if (!job)
                return NULL;
        if (progress->n_jobs == progress->capacity) {
                size_t capacity = progress->capacity ? 2 * progress->capacity : 16;
                struct progress_job **jobs = reallocarray(progress->jobs, capacity, sizeof *jobs);
                progress->jobs = jobs ? jobs : progress->jobs;
                progress->capacity = jobs ? capacity : progress->capacity;
        }
        found = progress->n_jobs < progress->capacity ? tsearch(job, &progress->index, compare) : NULL;
        if (found && *found == job) {
                progress->jobs[progress->n_jobs++] = job;
                *ret_new = true;
                return job;
        }
        free(job->device);
        free(job);
        *ret_new = false;
        return found ? *found : NULL;
}

/* --- one line --- */

static void append_bar(const struct progress *progress, int percent, struct strbuf *out) {
        int filled = MIN(MAX(percent, 0), 100) * BAR_COLUMNS / 100;

        if (!progress->style.utf8)
                strbuf_append_char(out, '[');
        for (int i = 0; i < BAR_COLUMNS; i++)
                strbuf_append(out, i < filled ? (progress->style.utf8 ? "█" : "#") : (progress->style.utf8 ? "░" : "."));
        strbuf_appendf(out, "%s %3d %%", progress->style.utf8 ? "" : "]", percent);
}

static void append_running(const struct progress *progress, const struct progress_job *job, struct strbuf *out) {
        char number[32];
        size_t columns = text_columns(job->step);

        strbuf_append(out, job->step);
        if (job->percent >= 0) {
                text_append_blanks(out, columns < BAR_STEP_COLUMNS ? BAR_STEP_COLUMNS - columns + 1 : 1);
                append_bar(progress, job->percent, out);
        }
        if (job->rate_bytes_s > 0) {
                text_bytes(number, sizeof number, job->rate_bytes_s);
                strbuf_appendf(out, "  %s/s", number);
        }
        if (job->eta_ms > 0) {
                text_duration(number, sizeof number, job->eta_ms < 1000 ? 1000 : job->eta_ms / 1000 * 1000);
                strbuf_appendf(out, "  %s left", number);
        }
}

/* Step, bar and reason, without the device. */
static void append_state(const struct progress *progress, const struct progress_job *job, struct strbuf *out) {
        switch (job->phase) {
        case PROGRESS_QUEUED:
                strbuf_append(out, job->waiting[0] ? "waits: " : "queued");
                text_append_toned(out, job->waiting, TONE_CARE, &progress->style);
                break;
        case PROGRESS_RUNNING:
                append_running(progress, job, out);
                if (job->waiting[0]) {
                        strbuf_append(out, job->step[0] ? ", waits: " : "waits: ");
                        text_append_toned(out, job->waiting, TONE_CARE, &progress->style);
                } else if (!job->step[0]) {
                        strbuf_append(out, "begins");
                }
                break;
        case PROGRESS_SUCCEEDED:
                text_append_toned(out, job->outcome, TONE_GOOD, &progress->style);
                break;
        case PROGRESS_FAILED:
                text_append_toned(out, job->outcome, TONE_BAD, &progress->style);
                break;
        }
        if (job->attempt > 1)
                strbuf_appendf(out, " (attempt %d)", (int) job->attempt);
}

/* A line that says what the last one said (its step changed while it waits) is left out. */
static void print_change(struct progress *progress, struct progress_job *job) {
        _cleanup_strbuf_ struct strbuf line = STRBUF_INIT(TEXT_LIMIT);
        struct progress_job without_numbers = *job;

        without_numbers.percent = -1;
        without_numbers.rate_bytes_s = without_numbers.eta_ms = 0;
        strbuf_appendf(&line, "%s: ", job->device);
        append_state(progress, &without_numbers, &line);
        if (str_equal(job->printed, strbuf_text(&line)))
                return;
        free(job->printed);
        job->printed = strdup(strbuf_text(&line));
        fprintf(progress->stream, "%s\n", strbuf_text(&line));
        fflush(progress->stream);
}

/* --- changes --- */

static bool take_text(char *dst, size_t size, const char *text) {
        char old[128];

        str_copy(old, sizeof old, dst);
        if (str_escape(dst, size, text ? text : "", text ? strlen(text) : 0) < 0)
                dst[size - 1] = '\0';
        return strcmp(old, dst) != 0;
}

/* Did anything but numbers change? */
static bool take_state(struct progress_job *job, const struct progress_state *state) {
        bool changed = job->phase != state->phase || MAX(job->attempt, (int64_t) 1) != MAX(state->attempt, (int64_t) 1);

        changed |= take_text(job->step, sizeof job->step, state->step);
        changed |= take_text(job->waiting, sizeof job->waiting, state->waiting);
        changed |= take_text(job->outcome, sizeof job->outcome, state->outcome);
        job->phase = state->phase;
        job->percent = state->percent;
        job->rate_bytes_s = state->rate_bytes_s;
        job->eta_ms = state->eta_ms;
        job->attempt = state->attempt;
        return changed;
}

/* News of a step may overtake the event that its job was queued. Whoever is queued again has a reason, or another attempt. */
static bool is_overtaken(const struct progress_job *job, const struct progress_state *state) {
        return job->phase == PROGRESS_RUNNING && state->phase == PROGRESS_QUEUED && (!state->waiting || !state->waiting[0]) &&
               MAX(job->attempt, (int64_t) 1) >= MAX(state->attempt, (int64_t) 1);
}

static void take(struct progress *progress, struct progress_job *job, bool is_new, const struct progress_state *state) {
        bool changed = take_state(job, state) || is_new;

        progress->stale = true;
        if (changed && progress->stream && !progress->live)
                print_change(progress, job);
}

int progress_set(struct progress *progress, const char *device, const struct progress_state *state) {
        bool is_new;
        struct progress_job *job = job_of(progress, device, &is_new);

        if (!job)
                return -ENOMEM;
        if (is_new || !is_overtaken(job, state))
                take(progress, job, is_new, state);
        return 0;
}

int progress_look(struct progress *progress, const char *device, const struct progress_state *state) {
        bool is_new;
        struct progress_job *job = job_of(progress, device, &is_new);

        if (!job)
                return -ENOMEM;
        if (is_new || state->phase >= job->phase || state->attempt > job->attempt)
                take(progress, job, is_new, state);
        return 0;
}

bool progress_is_stale(const struct progress *progress) {
        return progress->live && progress->stale;
}

size_t progress_count(const struct progress *progress, enum progress_phase phase) {
        size_t n = 0;

        for (size_t i = 0; i < progress->n_jobs; i++)
                n += progress->jobs[i]->phase == phase;
        return n;
}

/* --- the whole picture --- */

static size_t name_columns(const struct progress *progress) {
        size_t columns = 0;

        for (size_t i = 0; i < progress->n_jobs; i++) {
                size_t width = text_columns(progress->jobs[i]->device);
                columns = MAX(columns, width);
        }
        columns = MIN(columns, (size_t) PROGRESS_NAME_COLUMNS_MAX);
        return progress->style.columns ? MIN(columns, (size_t) progress->style.columns / 2) : columns;
}

static void render_job(const struct progress *progress, const struct progress_job *job, size_t columns, struct strbuf *out) {
        _cleanup_strbuf_ struct strbuf state = STRBUF_INIT(TEXT_LIMIT), name = STRBUF_INIT(TEXT_LIMIT);
        size_t width = progress->style.columns ? progress->style.columns : NO_TERMINAL_COLUMNS;

        text_append_cut(&name, job->device, columns, &progress->style);
        strbuf_append(out, strbuf_text(&name));
        text_append_blanks(out, columns - text_columns(strbuf_text(&name)) + 2);
        append_state(progress, job, &state);
        /* A line that is broken by the terminal cannot be drawn again; colours would count as columns, so a tight line goes without. */
        if (columns + 2 + text_columns(strbuf_text(&state)) > width) {
                struct progress plain = *progress;
                plain.style.colour = false;
                strbuf_reset(&state);
                append_state(&plain, job, &state);
                text_append_cut(out, strbuf_text(&state), width > columns + 2 ? width - columns - 2 : 0, &progress->style);
        } else {
                strbuf_append(out, strbuf_text(&state));
        }
        strbuf_append_char(out, '\n');
}

static void render_counts(const struct progress *progress, struct strbuf *out) {
        size_t n_good = progress_count(progress, PROGRESS_SUCCEEDED), n_bad = progress_count(progress, PROGRESS_FAILED);
        _cleanup_strbuf_ struct strbuf line = STRBUF_INIT(TEXT_LIMIT);

        strbuf_appendf(&line, "%zu of %zu done", n_good + n_bad, progress->n_jobs);
        if (n_bad > 0)
                strbuf_appendf(&line, ", %zu without success", n_bad);
        strbuf_appendf(&line, ", %zu running, %zu waiting", progress_count(progress, PROGRESS_RUNNING),
                       progress_count(progress, PROGRESS_QUEUED));
        text_append_cut(out, strbuf_text(&line), progress->style.columns ? progress->style.columns : NO_TERMINAL_COLUMNS, &progress->style);
        strbuf_append_char(out, '\n');
}

int progress_render(const struct progress *progress, unsigned rows, struct strbuf *out) {
        static const enum progress_phase order[] = { PROGRESS_RUNNING, PROGRESS_FAILED, PROGRESS_QUEUED, PROGRESS_SUCCEEDED };
        size_t room = rows > 3 ? rows - 2 : rows > 0 ? 1 : SIZE_MAX, columns = name_columns(progress);

        if (progress->n_jobs <= room)
                for (size_t i = 0; i < progress->n_jobs; i++)
                        render_job(progress, progress->jobs[i], columns, out);
        for (size_t phase = 0; progress->n_jobs > room && phase < ARRAY_SIZE(order); phase++)
                for (size_t i = 0; i < progress->n_jobs && room > 0; i++)
                        if (progress->jobs[i]->phase == order[phase]) {
                                render_job(progress, progress->jobs[i], columns, out);
                                room--;
                                if (room == 0)
                                        phase = ARRAY_SIZE(order);
                        }
        if (progress->n_jobs > 1)
                render_counts(progress, out);
        return out->error;
}

void progress_erase(struct progress *progress) {
        if (!progress->live)
                return;
        if (progress->n_drawn > 0)
                fprintf(progress->stream, "\033[%uA\r\033[J", progress->n_drawn);
        fflush(progress->stream);
        progress->n_drawn = 0;
}

/* Each line is drawn over the old one, and only its rest wiped: a screen that is emptied first flickers. */
static unsigned draw_lines(FILE *stream, const char *text) {
        unsigned n = 0;

        for (; *text; text += strcspn(text, "\n") + 1, n++)
                fprintf(stream, "%.*s\033[K\n", (int) strcspn(text, "\n"), text);
        fputs("\033[J", stream);
        return n;
}

void progress_draw(struct progress *progress) {
        _cleanup_strbuf_ struct strbuf picture = STRBUF_INIT(TEXT_LIMIT);
        struct winsize window = { 0 };

        if (!progress->live)
                return;
        ioctl(fileno(progress->stream), TIOCGWINSZ, &window);
        progress->style.columns = window.ws_col ? window.ws_col : 80;
        if (progress_render(progress, window.ws_row ? window.ws_row : 24, &picture) < 0)
                return;
        if (progress->n_drawn > 0)
                fprintf(progress->stream, "\033[%uA\r", progress->n_drawn);
        progress->n_drawn = draw_lines(progress->stream, strbuf_text(&picture));
        fflush(progress->stream);
        progress->stale = false;
}
