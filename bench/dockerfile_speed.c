/* bench/dockerfile_speed — how fast the front end reads Dockerfiles.
 *
 *     dockerfile_speed CORPUS [ROUNDS]
 *
 * CORPUS: a file of JSON lines, each with the text of a Dockerfile under "dockerfile", such as
 * shared/conformance/corpus/corpus.jsonl.  Reads all of them over and over in one process and
 * prints the megabytes of text a second: the median of ROUNDS (default 15) rounds, of which each
 * takes at least a tenth of a second of processor time, and the slowest and fastest.  The steps:
 *
 *   parse      dockerfile_parse and dockerfile_free
 *   images     the same, and between them dockerfile_images, which expands what it needs to
 *   expand     instead of that dockerfile_evaluate: variables put in, configurations made
 *   check      instead of that dockerfile_check: all stages evaluated, BuildKit's 22 rules applied
 *   practices  the same with the rules that are not BuildKit's (DLnnnn)
 */
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/text.h"
#include "dockerfile/dockerfile.h"

#define ROUND_NS (NS_PER_SEC / 10)

struct corpus {
    json_t *texts; /* strings, which own the Dockerfiles */
    size_t bytes;
};

static _Noreturn void die(const char *what)
{
    (void)fprintf(stderr, "dockerfile_speed: %s\n", what);
    exit(1);
}

static struct corpus load(const char *path)
{
    CLEANUP(buf_release) struct buf file = BUF_INIT(64 << 20);
    struct corpus c = {.texts = json_array()};
    struct error err;
    const char *line;

    if (fs_read_file(AT_FDCWD, path, &file, &err) < 0)
        die(err.msg);
    line = buf_str(&file);
    while (*line) {
        size_t len = strcspn(line, "\n");
        json_t *row = json_loadb(line, len, JSON_ALLOW_NUL, NULL);
        json_t *text = json_object_get(row, "dockerfile");

        if (!json_is_string(text))
            die("the corpus has a line without a Dockerfile");
        json_array_append(c.texts, text);
        c.bytes += json_string_length(text);
        json_decref(row);
        line += len + (line[len] == '\n');
    }
    if (c.bytes == 0)
        die("the corpus is empty");
    return c;
}

/* ---- the steps ---- */

static void parse(const char *text, size_t len)
{
    struct dockerfile *d = NULL;
    struct error err;

    if (dockerfile_parse(text, len, &dockerfile_limits_default, &d, &err) == 0)
        dockerfile_free(d);
}

static void images(const char *text, size_t len)
{
    CLEANUP(argv_release) struct argv images = ARGV_INIT;
    const struct argv no_args = ARGV_INIT;
    struct dockerfile *d = NULL;
    struct error err;

    if (dockerfile_parse(text, len, &dockerfile_limits_default, &d, &err) < 0)
        return;
    (void)!dockerfile_images(d, &no_args, &images, &err);
    dockerfile_free(d);
}

static void expand(const char *text, size_t len)
{
    const struct dockerfile_request request = {.target = NULL};
    struct dockerfile_evaluation *e = NULL;
    struct dockerfile *d = NULL;
    struct error err;

    if (dockerfile_parse(text, len, &dockerfile_limits_default, &d, &err) < 0)
        return;
    if (dockerfile_evaluate(d, &request, &e, &err) == 0)
        dockerfile_evaluation_free(e);
    dockerfile_free(d);
}

static void check_with(const char *text, size_t len, bool hadolint)
{
    const struct dockerfile_check_request request = {.all_stages = true, .hadolint = hadolint};
    struct dockerfile_findings findings;
    struct dockerfile *d = NULL;
    struct error err;

    if (dockerfile_parse(text, len, &dockerfile_limits_default, &d, &err) < 0)
        return;
    if (dockerfile_check(d, &request, &findings, &err) < 0)
        die(err.msg);
    dockerfile_findings_release(&findings);
    dockerfile_free(d);
}

static void check(const char *text, size_t len)
{
    check_with(text, len, false);
}

static void practices(const char *text, size_t len)
{
    check_with(text, len, true);
}

static const struct step {
    const char *name;
    void (*run)(const char *text, size_t len);
} steps[] = {
    {"parse", parse}, {"images", images},       {"expand", expand},
    {"check", check}, {"practices", practices},
};

/* ---- measuring ---- */

/* Of the processor: the machine may have other work. */
static int64_t spent(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * NS_PER_SEC + t.tv_nsec;
}

static double one_round(const struct corpus *c, const struct step *step)
{
    int64_t begin = spent(), now = begin;
    double bytes = 0;

    while (now - begin < ROUND_NS) {
        const json_t *text;
        size_t i;

        json_array_foreach (c->texts, i, text)
            step->run(json_string_value(text), json_string_length(text));
        bytes += (double)c->bytes;
        now = spent();
    }
    return bytes / 1e6 / ((double)(now - begin) / (double)NS_PER_SEC);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

static void measure(const struct corpus *c, const struct step *step, size_t rounds)
{
    double *speeds = calloc(rounds, sizeof(*speeds));

    if (!speeds)
        die("out of memory");
    for (size_t i = 0; i < rounds; i++)
        speeds[i] = one_round(c, step);
    qsort(speeds, rounds, sizeof(*speeds), compare);
    printf("%-9s median %6.1f MB/s  slowest %6.1f  fastest %6.1f\n", step->name, speeds[rounds / 2],
           speeds[0], speeds[rounds - 1]);
    free(speeds);
}

int main(int argc, char **argv)
{
    uint64_t rounds = 15;
    struct corpus c;

    if (argc < 2 || argc > 3 ||
        (argc > 2 && (!text_to_u64(argv[2], 1000, &rounds) || rounds == 0))) {
        (void)fprintf(stderr, "usage: dockerfile_speed CORPUS [ROUNDS]\n");
        return 2;
    }
    c = load(argv[1]);
    printf("%zu Dockerfiles, %zu bytes\n", json_array_size(c.texts), c.bytes);
    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++)
        measure(&c, &steps[i], (size_t)rounds);
    json_decref(c.texts);
    return 0;
}
