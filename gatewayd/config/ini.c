/* SPDX-License-Identifier: Apache-2.0 */
#include "config/ini.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "base/limits.h"
#include "base/str.h"

/* What the reader holds between two lines. Indices, because the arrays move when they grow; -1 = none. */
struct reader {
        struct ini *ini;
        struct config_errors *errors;
        unsigned line;
        ssize_t section;     /* current one; -1 also behind a broken header: its keys are read and dropped */
        bool section_broken; /* the header was wrong and reported, its keys need no report of their own */
        ssize_t entry;       /* that a continuation belongs to */
        bool entry_broken;
        size_t n_entries;
};

static const char section_characters[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
static const char key_characters[] = "abcdefghijklmnopqrstuvwxyz0123456789_";

static void section_deinit(struct ini_section *section) {
        for (size_t i = 0; i < section->n_entries; i++) {
                free(section->entries[i].key);
                free(section->entries[i].value);
        }
        free(section->entries);
        free(section->kind);
        free(section->name);
        free(section->title);
}

void ini_free(struct ini *ini) {
        if (!ini)
                return;
        for (size_t i = 0; i < ini->n_sections; i++)
                section_deinit(&ini->sections[i]);
        free(ini->sections);
        free(ini->file);
        free(ini);
}

const struct ini_section *ini_section_find(const struct ini *ini, const char *kind, const char *name) {
        for (size_t i = 0; i < ini->n_sections; i++)
                if (strcmp(ini->sections[i].kind, kind) == 0 && str_equal(ini->sections[i].name, name))
                        return &ini->sections[i];
        return NULL;
}

const struct ini_entry *ini_entry_find(const struct ini_section *section, const char *key) {
        for (size_t i = 0; i < section->n_entries; i++)
                if (strcmp(section->entries[i].key, key) == 0)
                        return &section->entries[i];
        return NULL;
}

static struct ini_section *current_section(struct reader *reader) {
        return reader->section < 0 ? NULL : &reader->ini->sections[reader->section];
}

__attribute__((format(printf, 3, 4))) static void complain(struct reader *reader, const char *key, const char *format, ...) {
        const struct ini_section *section = current_section(reader);
        char text[256];
        va_list args;

        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        config_errors_add(reader->errors, reader->ini->file, reader->line, section ? section->title : NULL, key, "%s", text);
}

/* --- sections --- */

/* Takes kind and name of "kind" or "kind name" apart, in place. */
static bool split_header(char *inside, char **ret_kind, char **ret_name) {
        char *kind = str_trim(inside), *name = kind + strcspn(kind, " \t");

        if (*name)
                *name++ = '\0';
        name = str_trim(name);
        if (!*kind || strspn(kind, section_characters) != strlen(kind))
                return false;
        if (*name && !str_is_id(name))
                return false;
        *ret_kind = kind;
        *ret_name = *name ? name : NULL;
        return true;
}

static int section_add(struct reader *reader, const char *kind, const char *name) {
        struct ini *ini = reader->ini;
        struct ini_section section = {.line = reader->line}, *sections;

        sections = reallocarray(ini->sections, ini->n_sections + 1, sizeof(*sections));
        if (!sections)
                return -ENOMEM;
        ini->sections = sections;
        section.kind = strdup(kind);
        section.name = name ? strdup(name) : NULL;
        if (asprintf(&section.title, "[%s%s%s]", kind, name ? " " : "", name ? name : "") < 0)
                section.title = NULL;
        if (!section.kind || (name && !section.name) || !section.title) {
                section_deinit(&section);
                return -ENOMEM;
        }
        sections[ini->n_sections] = section;
        reader->section = (ssize_t) ini->n_sections++;
        reader->section_broken = false;
        return 0;
}

static int read_header(struct reader *reader, char *line) {
        char *end = strchr(line, ']'), *kind, *name;
        const struct ini_section *same;

        reader->section = -1;
        reader->section_broken = true;
        if (!end || *str_trim(end + 1)) {
                complain(reader, NULL, end ? "nothing may follow the ] of a section" : "a section ends with ]");
                return 0;
        }
        *end = '\0';
        if (!split_header(line + 1, &kind, &name)) {
                complain(reader, NULL, "expected [section] or [section name]; a name is made of A-Z a-z 0-9 _ . -, at most %d", STR_ID_MAX);
                return 0;
        }
        same = ini_section_find(reader->ini, kind, name);
        if (same) {
                complain(reader, NULL, "section %s was already begun in line %u", same->title, same->line);
                return 0;
        }
        if (reader->ini->n_sections == CONFIG_SECTIONS_MAX) {
                complain(reader, NULL, "more than %d sections", CONFIG_SECTIONS_MAX);
                return 0;
        }
        return section_add(reader, kind, name);
}

/* --- values --- */

/* A quoted value in place: the quotes and the backslashes go. */
static bool unquote(char *value) {
        char *to = value;
        const char *from = value + 1;

        for (; *from && *from != '"'; from++) {
                if (*from == '\\' && *++from != '"' && *from != '\\')
                        return false;
                *to++ = *from;
        }
        if (*from != '"' || from[1])
                return false;
        *to = '\0';
        return true;
}

/* Cuts, unquotes; false after a complaint. */
static bool clean_value(struct reader *reader, const char *key, char **value) {
        *value = str_trim(*value);
        if (**value != '"' || unquote(*value))
                return true;
        complain(reader, key, "a value in quotes ends with its second \", and holds only \\\" and \\\\ as escapes");
        return false;
}

static int entry_add(struct reader *reader, const char *key, const char *value) {
        struct ini_section *section = current_section(reader);
        struct ini_entry entry = {.line = reader->line}, *entries;

        entries = reallocarray(section->entries, section->n_entries + 1, sizeof(*entries));
        if (!entries)
                return -ENOMEM;
        section->entries = entries;
        entry.key = strdup(key);
        entry.value = strdup(value);
        if (!entry.key || !entry.value) {
                free(entry.key);
                free(entry.value);
                return -ENOMEM;
        }
        entries[section->n_entries] = entry;
        reader->entry = (ssize_t) section->n_entries++;
        reader->n_entries++;
        return 0;
}

/* May this key stand here? Complains if not. */
static bool check_key(struct reader *reader, const char *key) {
        const struct ini_section *section = current_section(reader);
        const struct ini_entry *same;

        if (!*key || strlen(key) > STR_ID_MAX || strspn(key, key_characters) != strlen(key)) {
                complain(reader, NULL, "a key is made of a-z 0-9 _, at most %d", STR_ID_MAX);
                return false;
        }
        if (!section) {
                if (!reader->section_broken)
                        complain(reader, key, "stands before the first [section]");
                return false;
        }
        same = ini_entry_find(section, key);
        if (same) {
                complain(reader, key, "was already set in line %u", same->line);
                return false;
        }
        if (reader->n_entries == CONFIG_KEYS_MAX) {
                complain(reader, key, "more than %d keys", CONFIG_KEYS_MAX);
                return false;
        }
        return true;
}

static int read_entry(struct reader *reader, char *line) {
        char *equals = strchr(line, '='), *key, *value;

        reader->entry = -1;
        reader->entry_broken = true;
        if (!equals) {
                complain(reader, NULL, "expected [section] or key = value");
                return 0;
        }
        *equals = '\0';
        key = str_trim(line);
        value = equals + 1;
        if (!check_key(reader, key) || !clean_value(reader, key, &value))
                return 0;
        reader->entry_broken = false;
        return entry_add(reader, key, value);
}

static int read_continuation(struct reader *reader, char *line) {
        struct ini_section *section = current_section(reader);
        struct ini_entry *entry;
        char *joined;

        if (!section || reader->entry < 0) {
                if (!reader->entry_broken && !reader->section_broken)
                        complain(reader, NULL, "a line that begins with a blank continues a value, but there is none above");
                return 0;
        }
        entry = &section->entries[reader->entry];
        if (!clean_value(reader, entry->key, &line))
                return 0;
        if (asprintf(&joined, "%s%s%s", entry->value, *entry->value ? " " : "", line) < 0)
                return -ENOMEM;
        free(entry->value);
        entry->value = joined;
        return 0;
}

/* --- lines --- */

static bool is_good_text(const char *line, size_t size) {
        for (size_t i = 0; i < size; i++)
                if (((unsigned char) line[i] < 0x20 && line[i] != '\t') || line[i] == 0x7f)
                        return false;
        return str_is_utf8(line, size);
}

/* One line without its end; copied, because it is cut in place. */
static int read_line(struct reader *reader, const char *text, size_t size) {
        _cleanup_free_ char *line = NULL;
        const char *content;

        if (size > 0 && text[size - 1] == '\r')
                size--;
        if (size > CONFIG_LINE_MAX || !is_good_text(text, size)) {
                complain(reader, NULL, size > CONFIG_LINE_MAX ? "line of more than %d bytes" : "not UTF-8 text without control characters",
                         CONFIG_LINE_MAX);
                reader->entry = -1;
                reader->entry_broken = true;
                return 0;
        }
        line = strndup(text, size);
        if (!line)
                return -ENOMEM;
        content = line + strspn(line, " \t");
        if (!*content || *content == '#' || *content == ';')
                return 0;
        if (content > line)
                return read_continuation(reader, line);
        if (*line == '[') {
                reader->entry = -1;
                reader->entry_broken = false;
                return read_header(reader, line);
        }
        return read_entry(reader, line);
}

static int read_lines(struct reader *reader, const char *text, size_t size) {
        while (size > 0) {
                const char *newline = memchr(text, '\n', size);
                size_t length = newline ? (size_t) (newline - text) : size;
                size_t step = newline ? length + 1 : length;
                int r;

                reader->line++;
                r = read_line(reader, text, length);
                if (r < 0)
                        return r;
                text += step;
                size -= step;
        }
        return 0;
}

int ini_parse(const char *file, const char *text, size_t size, struct config_errors *errors, struct ini **ret_ini) {
        _cleanup_ini_ struct ini *ini = calloc(1, sizeof(*ini));
        struct reader reader = {.ini = ini, .errors = errors, .section = -1, .entry = -1};
        int r;

        if (!ini)
                return -ENOMEM;
        ini->file = strdup(file);
        if (!ini->file)
                return -ENOMEM;
        r = read_lines(&reader, text, size);
        if (r < 0)
                return r;
        *ret_ini = TAKE_PTR(ini);
        return 0;
}

/* At most CONFIG_FILE_MAX bytes of a regular file or a pipe. */
static int read_file(const char *path, char **ret_text, size_t *ret_size) {
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        _cleanup_free_ char *text = NULL;
        size_t size = 0;

        if (fd < 0)
                return -errno;
        text = malloc(CONFIG_FILE_MAX + 1);
        if (!text)
                return -ENOMEM;
        for (;;) {
                ssize_t n = read(fd, text + size, CONFIG_FILE_MAX + 1 - size);

                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n == 0)
                        break;
                size += n > 0 ? (size_t) n : 0;
                if (size > CONFIG_FILE_MAX)
                        return -EFBIG;
        }
        *ret_text = TAKE_PTR(text);
        *ret_size = size;
        return 0;
}

int ini_read(const char *file, struct config_errors *errors, struct ini **ret_ini) {
        _cleanup_free_ char *text = NULL;
        size_t size = 0;
        int r;

        r = read_file(file, &text, &size);
        if (r < 0)
                return r;
        return ini_parse(file, text, size, errors, ret_ini);
}
