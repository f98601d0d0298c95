/* worker/verdict — see the header. */
#include "worker/verdict.h"

#include "base/text.h"

#define LENGTH 32 /* bytes of a duration as text */

static void add_length(int64_t ms, char text[LENGTH])
{
    const long long s = ms / 1000;

    if (s >= 3600 && s % 3600 == 0)
        (void)snprintf(text, LENGTH, "%lld h", s / 3600);
    else if (s >= 60 && s % 60 == 0)
        (void)snprintf(text, LENGTH, "%lld min", s / 60);
    else if (ms % 1000 == 0)
        (void)snprintf(text, LENGTH, "%lld s", s);
    else
        (void)snprintf(text, LENGTH, "%lld ms", (long long)ms);
}

static int tell_limit(const struct builder_config *config, enum builder_outcome outcome,
                      const char *act, struct error *err)
{
    char size[TEXT_SIZE];
    char length[LENGTH];

    switch (outcome) {
    case BUILDER_OUT_OF_MEMORY:
        text_exact_size(config->limits.memory, size);
        return error_set(err, ERR_LIMIT, "killed: out of memory, limit %s, at %s", size, act);
    case BUILDER_TOO_MANY_PROCESSES:
        return error_set(err, ERR_LIMIT, "too many processes, limit %llu, at %s",
                         (unsigned long long)config->limits.pids, act);
    case BUILDER_DISK_FULL:
        text_exact_size(config->limits.disk, size);
        return error_set(err, ERR_LIMIT, "disk full, limit %s, at %s", size, act);
    default:
        add_length(config->timeout_ms, length);
        return error_set(err, ERR_LIMIT, "took longer than the time limit of %s, at %s", length,
                         act);
    }
}

int verdict_of(const struct builder_config *config, enum builder_outcome outcome, const char *act,
               const char *said, struct error *err)
{
    switch (outcome) {
    case BUILDER_DONE:
        return 0;
    case BUILDER_CANCELLED:
        err->kind = ERR_NONE;
        return -1;
    case BUILDER_TIMED_OUT:
    case BUILDER_OUT_OF_MEMORY:
    case BUILDER_TOO_MANY_PROCESSES:
    case BUILDER_DISK_FULL:
        return tell_limit(config, outcome, act, err);
    case BUILDER_MACHINE_FULL:
        return error_set(err, ERR_SYSTEM, "the disk of the build machine is full, at %s", act);
    case BUILDER_KILLED:
        return error_set(err, ERR_SYSTEM,
                         "%s was killed by a signal, as when the machine runs out of memory", act);
    case BUILDER_FAILED:
        return error_set(err, ERR_INPUT, "%s", said[0] ? said : "no reason was given");
    }
    abort();
}
