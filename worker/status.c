/* worker/status — when the end of a build may be seen.
 *
 * The clients have habits (PROTOCOL.md 1.4, 2.5, 3.1, 6.2) that a fast build would fall foul of:
 *
 *   - the interactive CLI asks for a resource 1 s after its upload was answered, then at ticks 4 s
 *     after it and every 3 s; it takes DEPLOYED for real only if one of the ticks said BUILDING;
 *   - the SDKs need one status other than DEPLOYED, and poll at once and then every 3 s;
 *   - the log watcher, begun at the upload (push) or at the tick that said BUILDING (deploy), polls
 *     after 2.2 s and then every 2 s, and makes no last fetch once it reads a final status or
 *     DEPLOYING.
 *
 * Clients count from the answer to their upload, which may reach them seconds after the upload was
 * accepted.  So the end of a resource's build shows TOLD_FOR after a client was first told BUILDING
 * and not before SHOWN_AFTER, for the client that was not the first to ask; and an end of either
 * kind shows once the last log line is old enough to have been fetched.  A build longer than that
 * whose log nobody reads shows its end at once.  Nothing waits: the answer is computed when asked.
 *
 * DEPLOYING is said of a resource whose build has come to its last step, in which the image is read
 * back and perhaps started: once BUILDING was told for long enough, and when nobody reads the log,
 * or there was nothing new in it for as long as a watcher takes to fetch it.  So a step that is
 * over at once is hardly ever seen, and costs nobody any time.  Once told, it stays. */
#include "worker/status.h"

#define TOLD_FOR    (9 * NS_PER_SEC / 2) /* the CLI's ticks are 3 s and 6 s after its first ask */
#define SHOWN_AFTER (5 * NS_PER_SEC)     /* after the upload: its first tick comes after 4 s */
#define UNASKED     (15 * NS_PER_SEC)    /* nobody asked since the upload: nobody will tick */
#define LOG_AGE     (3 * NS_PER_SEC)     /* a watcher polls every 2 s */
#define WATCHED     (7 * NS_PER_SEC)     /* after the upload: a watcher has polled by then */
#define READER_GONE (10 * NS_PER_SEC)    /* no poll for so long: nobody is watching */

static bool building_was_shown(const struct build *b, int64_t now)
{
    if (!b->building_seen)
        return now - b->uploaded >= UNASKED;
    return now - b->building_seen >= TOLD_FOR && now - b->uploaded >= SHOWN_AFTER;
}

static bool log_was_read(const struct build *b, int64_t now)
{
    if (now - b->last_line >= LOG_AGE)
        return true;
    return now - b->uploaded >= WATCHED && b->finished - b->log_read >= READER_GONE;
}

static bool end_may_show(const struct build *b, enum build_purpose view, int64_t now)
{
    if (!b->uploaded) /* the upload never came: nobody saw BUILDING, and there is no log */
        return true;
    if (!purpose_is_image(view))
        return true; /* clients have no habits with volumes and their templates */
    if (view == BUILD_FOR_RESOURCE && !building_was_shown(b, now))
        return false;
    return log_was_read(b, now);
}

static bool deploying_may_show(const struct build *b, int64_t now)
{
    const int64_t quiet_since = b->last_line > b->deploying ? b->last_line : b->deploying;

    if (!b->deploying || !building_was_shown(b, now))
        return false;
    if (b->deploying_seen || now - quiet_since >= LOG_AGE)
        return true;
    return now - b->uploaded >= WATCHED && now - b->log_read >= READER_GONE;
}

/* Until the end shows. */
static enum status status_of_unfinished(const struct build *b, enum build_purpose view, int64_t now)
{
    return view == BUILD_FOR_RESOURCE && deploying_may_show(b, now) ? STATUS_DEPLOYING
                                                                    : STATUS_BUILDING;
}

enum status build_status(const struct build *b, enum build_purpose view, int64_t now)
{
    switch (b->phase) {
    case BUILD_UPLOADING:
        return STATUS_UPLOADING;
    case BUILD_QUEUED:
        return STATUS_BUILDING;
    case BUILD_RUNNING:
        return status_of_unfinished(b, view, now);
    case BUILD_CANCELLED:
        return STATUS_FAILED;
    case BUILD_FAILED:
        return end_may_show(b, view, now) ? STATUS_FAILED : status_of_unfinished(b, view, now);
    case BUILD_SUCCEEDED:
        if (!end_may_show(b, view, now))
            return status_of_unfinished(b, view, now);
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
