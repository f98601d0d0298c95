/* worker/status — when the end of a build may be seen.
 *
 * The clients have habits (PROTOCOL.md 1.4, 2.5, 3.1, 6.2) that a fast build would fall foul of:
 *
 *   - the interactive CLI takes DEPLOYED for real only if one of its ticks, the first about 4 s
 * after the upload and then every 3 s, said BUILDING; what it asks in the first second does not
 * count;
 *   - the SDKs need one status other than DEPLOYED, and poll at once and then every 3 s;
 *   - the log watcher polls every 2 s and makes no last fetch once it reads a final status.
 *
 * So the end shows once BUILDING was told to a client late enough (or long enough has passed), and
 * once the last log line is old enough to have been fetched.  A build longer than SHOWN_AFTER whose
 * log nobody reads shows its end at once.  Nothing waits: the answer is computed when asked. */
#include "worker/status.h"

#include <string.h>

#define SHOWN_AFTER (7 * NS_PER_SEC)     /* after the upload: any client has ticked by then */
#define TICK_AFTER  (5 * NS_PER_SEC / 2) /* an answer before that is not a tick */
#define LOG_AGE     (3 * NS_PER_SEC)     /* a watcher polls every 2 s */
#define READER_GONE (10 * NS_PER_SEC)    /* no poll for so long: nobody is watching */

static bool building_was_shown(const struct build *b, int64_t now)
{
    return now - b->uploaded >= SHOWN_AFTER || b->building_seen - b->uploaded >= TICK_AFTER;
}

static bool log_was_read(const struct build *b, int64_t now)
{
    int64_t end = b->finished ? b->finished : now;

    if (now - b->last_line >= LOG_AGE)
        return true;
    return now - b->uploaded >= SHOWN_AFTER && end - b->log_read >= READER_GONE;
}

static bool end_may_show(const struct build *b, int64_t now)
{
    if (!b->uploaded) /* the upload never came: nobody saw BUILDING, and there is no log */
        return true;
    return building_was_shown(b, now) && log_was_read(b, now);
}

enum status build_status(const struct build *b, enum build_purpose view, int64_t now)
{
    switch (b->phase) {
    case BUILD_UPLOADING:
        return STATUS_UPLOADING;
    case BUILD_QUEUED:
        return STATUS_BUILDING;
    case BUILD_RUNNING:
        if (view == BUILD_FOR_RESOURCE && strcmp(b->step, "deploy") == 0 && end_may_show(b, now))
            return STATUS_DEPLOYING; /* the log is complete and read: watchers may stop */
        return STATUS_BUILDING;
    case BUILD_CANCELLED:
        return STATUS_FAILED;
    case BUILD_FAILED:
        return end_may_show(b, now) ? STATUS_FAILED : STATUS_BUILDING;
    case BUILD_SUCCEEDED:
        if (!end_may_show(b, now))
            return STATUS_BUILDING;
        return view == BUILD_FOR_IMAGE ? STATUS_BUILT : STATUS_DEPLOYED;
    }
    abort();
}

const char *status_name(enum status status)
{
    static const char *const names[] = {"UPLOADING", "BUILDING", "DEPLOYING",
                                        "DEPLOYED",  "BUILT",    "FAILED"};

    return names[status];
}

bool status_is_final(enum status status)
{
    return status == STATUS_DEPLOYED || status == STATUS_BUILT || status == STATUS_FAILED;
}
