/* tests/dockerfile/conformance — see the header. */
#include "tests/dockerfile/conformance.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "base/fs.h"

static void conformance_path(const char *path, char out[PATH_MAX])
{
    const char *source = getenv("KILN_SOURCE");

    assert_non_null(source);
    (void)snprintf(out, PATH_MAX, "%s/../shared/conformance/%s", source, path);
}

void conformance_read(const char *path, struct buf *out)
{
    char full[PATH_MAX];
    struct error err;

    conformance_path(path, full);
    if (fs_read_file(AT_FDCWD, full, out, &err) < 0)
        fail_msg("%s", err.msg);
}

json_t *conformance_lines(const char *path)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(64 << 20);
    json_t *lines = json_array();
    const char *p, *end;

    conformance_read(path, &text);
    p = buf_str(&text);
    end = p + text.len;
    while (p < end) {
        const char *lf = memchr(p, '\n', (size_t)(end - p));
        size_t len = (size_t)((lf ? lf : end) - p);
        json_t *line = len ? json_loadb(p, len, JSON_ALLOW_NUL, NULL) : NULL;

        if (len && !line)
            fail_msg("%s: not JSON: %.*s", path, (int)(len > 80 ? 80 : len), p);
        if (line)
            json_array_append_new(lines, line);
        p += len + 1;
    }
    assert_true(json_array_size(lines) > 0);
    return lines;
}

static int is_visible(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

json_t *conformance_names(const char *path)
{
    struct dirent **entries = NULL;
    json_t *names = json_array();
    char full[PATH_MAX];
    int n;

    conformance_path(path, full);
    n = scandir(full, &entries, is_visible, alphasort);
    if (n <= 0)
        fail_msg("%s: nothing there", full);
    for (int i = 0; i < n; i++) {
        json_array_append_new(names, json_string(entries[i]->d_name));
        free(entries[i]);
    }
    free(entries);
    return names;
}

const char *text_of(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));

    return s ? s : "";
}

bool is_true(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

void score_add(struct score *s, bool agrees, const char *name)
{
    s->all++;
    s->agree += agrees;
    if (!agrees)
        print_message("%s: differs: %s\n", s->what, name);
}

void score_is(const struct score *s, size_t agree, size_t all)
{
    print_message("%s: %zu of %zu agree\n", s->what, s->agree, s->all);
    assert_int_equal(s->agree, agree);
    assert_int_equal(s->all, all);
}
