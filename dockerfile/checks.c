/* dockerfile/checks — what single instructions want, beyond the columns of the table. */
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "dockerfile/csv.h"
#include "dockerfile/duration.h"
#include "dockerfile/grammar.h"
#include "dockerfile/heredoc.h"
#include "dockerfile/quote.h"
#include "dockerfile/stages.h"
#include "dockerfile/suggest.h"

static int refuse_blank_name(const struct dockerfile_instruction *i, struct error *err)
{
    return error_set(err, ERR_INPUT, "%s names can not be blank", i->keyword);
}

int check_arg(const struct dockerfile_instruction *i, struct error *err)
{
    for (size_t k = 0; k < i->words.n; k++)
        if (i->words.v[k][0] == '=')
            return refuse_blank_name(i, err);
    return 0;
}

int check_pairs(const struct dockerfile_instruction *i, struct error *err)
{
    if (i->words.n == 0)
        return error_set(err, ERR_INPUT, "%s requires at least one argument", i->keyword);
    return i->legacy ? 0 : check_arg(i, err);
}

int check_copy(const struct dockerfile_instruction *i, struct error *err)
{
    struct arena scratch = {.blocks = NULL};
    struct dockerfile_heredoc doc;
    struct error ignored;
    bool is = false;

    /* Quotes that do not match make it a strange file name, no heredoc. */
    if (heredoc_parse_word(&scratch, i->words.v[i->words.n - 1], &is, &doc, &ignored) < 0)
        is = false;
    arena_release(&scratch);
    return is ? error_set(err, ERR_INPUT, "%s cannot accept a heredoc as a destination", i->keyword)
              : 0;
}

int check_from(const struct dockerfile_instruction *i, struct error *err)
{
    char quoted[QUOTE_SIZE];

    if (i->words.n != 1 && !(i->words.n == 3 && strcasecmp(i->words.v[1], "as") == 0))
        return error_set(err, ERR_INPUT, "FROM requires either one or three arguments");
    if (i->words.n == 3 && !stages_name_is_valid(i->words.v[2]))
        return error_set(err, ERR_INPUT,
                         "invalid name for build stage: %s, name can't start with a number or "
                         "contain symbols",
                         quote_short(i->words.v[2], quoted));
    return 0;
}

int check_onbuild(const struct dockerfile_instruction *i, struct error *err)
{
    const char *keyword = i->trigger ? i->trigger->keyword : "";

    if (strcmp(keyword, "ONBUILD") == 0)
        return error_set(err, ERR_INPUT, "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
    if (strcmp(keyword, "FROM") == 0 || strcmp(keyword, "MAINTAINER") == 0)
        return error_set(err, ERR_INPUT, "%s isn't allowed as an ONBUILD trigger", keyword);
    return 0;
}

int check_volume(const struct dockerfile_instruction *i, struct error *err)
{
    for (size_t k = 0; k < i->words.n; k++) {
        struct span word = {i->words.v[k], strlen(i->words.v[k])};

        if (span_trim(word).len == 0)
            return error_set(err, ERR_INPUT, "VOLUME specified can not be an empty string");
    }
    return 0;
}

int check_shell(const struct dockerfile_instruction *i, struct error *err)
{
    if (i->words.n == 0)
        return error_set(err, ERR_INPUT, "SHELL requires at least one argument");
    if (!i->json)
        return error_set(err, ERR_INPUT, "SHELL requires the arguments to be in JSON form");
    return 0;
}

/* ---- RUN ---- */

/* BuildKit looks at a mount's fields when it builds; before that, at from alone. */
static int check_mount(const char *mount, struct error *err)
{
    CLEANUP(argv_release) struct argv fields = ARGV_INIT;

    if (csv_read(mount, &fields, err) < 0)
        return error_wrap(err, "failed to parse csv mounts");
    for (size_t i = 0; i < fields.n; i++) {
        const char *dollar;

        if (strncasecmp(fields.v[i], "from=", 5) != 0)
            continue;
        dollar = strchr(fields.v[i] + 5, '$');
        if (dollar && dollar[1])
            return error_set(
                err, ERR_INPUT,
                "'from' doesn't support variable expansion, define alias stage instead");
    }
    return 0;
}

static bool is_go_bool(const char *s)
{
    static const char *const values[] = {"1", "t", "T",     "TRUE",  "true",  "True", "0",
                                         "f", "F", "FALSE", "false", "False", NULL};

    for (size_t i = 0; values[i]; i++)
        if (strcmp(s, values[i]) == 0)
            return true;
    return false;
}

/* One field of --device: the device's name, bare or as name=, or whether it is required. */
static int check_device_field(const char *field, bool *named, struct error *err)
{
    static const char *const keys[] = {"name", "required", NULL};
    const char *value = strchr(field, '=');
    size_t len = value ? (size_t)(value - field) : strlen(field);
    bool required = len == 8 && strncasecmp(field, "required", 8) == 0;
    char key[64], hint[SUGGEST_SIZE];

    if (required && value && !is_go_bool(value + 1))
        return error_set(err, ERR_INPUT, "invalid value for required: %.200s", value + 1);
    if (required)
        return 0;
    if (!*named) {
        *named = true;
        return 0;
    }
    if (!value)
        return error_set(err, ERR_INPUT, "invalid field '%.200s' must be a key=value pair", field);
    if (len == 4 && strncasecmp(field, "name", 4) == 0)
        return error_set(err, ERR_INPUT, "device name already set");
    (void)snprintf(key, sizeof(key), "%.*s", (int)(len > 63 ? 63 : len), field);
    return error_set(err, ERR_INPUT, "unexpected key '%s' in '%.200s'%s", key, field,
                     suggest(key, keys, false, hint));
}

static int check_device(const char *device, struct error *err)
{
    CLEANUP(argv_release) struct argv fields = ARGV_INIT;
    bool named = false;

    if (!*device)
        return 0;
    if (csv_read(device, &fields, err) < 0)
        return error_wrap(err, "failed to parse csv devices");
    for (size_t i = 0; i < fields.n; i++)
        if (check_device_field(fields.v[i], &named, err) < 0)
            return -1;
    return 0;
}

int check_run(const struct dockerfile_instruction *i, struct error *err)
{
    const char *network = flags_value(&i->flags, "network");
    const char *security = flags_value(&i->flags, "security");
    char quoted[QUOTE_SIZE];
    const char *value;

    for (size_t at = 0; (value = flags_next(&i->flags, "device", &at));)
        if (check_device(value, err) < 0)
            return -1;
    for (size_t at = 0; (value = flags_next(&i->flags, "mount", &at));)
        if (check_mount(value, err) < 0)
            return -1;
    if (network && strcmp(network, "default") != 0 && strcmp(network, "none") != 0 &&
        strcmp(network, "host") != 0)
        return error_set(err, ERR_INPUT, "invalid network mode %s", quote_short(network, quoted));
    if (security && strcmp(security, "sandbox") != 0 && strcmp(security, "insecure") != 0)
        return error_set(err, ERR_INPUT, "security %s is not valid", quote_short(security, quoted));
    return 0;
}

/* ---- HEALTHCHECK ---- */

static int check_interval(const struct dockerfile_instruction *i, const char *flag,
                          struct error *err)
{
    const char *value = flags_value(&i->flags, flag);
    int64_t ns;

    if (!value || !*value)
        return 0;
    if (duration_parse(value, &ns, err) < 0)
        return -1;
    if (ns != 0 && ns < 1000000)
        return error_set(err, ERR_INPUT, "Interval \"%s\" cannot be less than 1ms", flag);
    return 0;
}

static int check_retries(const char *value, struct error *err)
{
    const char *digits = value + (*value == '-' || *value == '+');
    uint64_t n;

    if (!*value)
        return 0;
    if (!text_to_u64(digits, INT32_MAX, &n)) {
        char quoted[QUOTE_SIZE];

        return error_set(err, ERR_INPUT, "strconv.ParseInt: parsing %s: invalid syntax",
                         quote_short(value, quoted));
    }
    if (*value == '-' && n > 0)
        return error_set(err, ERR_INPUT, "--retries cannot be negative (%s)", value);
    return 0;
}

int check_healthcheck(const struct dockerfile_instruction *i, struct error *err)
{
    static const char *const intervals[] = {"interval", "timeout", "start-period",
                                            "start-interval"};
    const char *type = i->words.v[0];
    const char *retries = flags_value(&i->flags, "retries");
    char quoted[QUOTE_SIZE];

    if (strcasecmp(type, "NONE") == 0)
        return i->words.n > 1 ? error_set(err, ERR_INPUT, "HEALTHCHECK NONE takes no arguments")
                              : 0;
    if (flags_check(&i->flags, grammar_find("HEALTHCHECK")->flags, err) < 0)
        return -1;
    if (strcasecmp(type, "CMD") != 0)
        return error_set(err, ERR_INPUT, "Unknown type %s in HEALTHCHECK (try CMD)",
                         quote_short(type, quoted));
    if (i->words.n < 2)
        return error_set(err, ERR_INPUT, "Missing command after HEALTHCHECK CMD");
    for (size_t k = 0; k < sizeof(intervals) / sizeof(intervals[0]); k++)
        if (check_interval(i, intervals[k], err) < 0)
            return -1;
    return retries ? check_retries(retries, err) : 0;
}
