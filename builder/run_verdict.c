/* builder/run_verdict — why runc did not start a command, and whose fault that is.
 *
 * runc exits with the command's own code, or with 1 for its own troubles; only its log, which
 * nothing in the container can write to, tells the two apart.  A program that is found and that the
 * kernel then refuses (a script without its interpreter, another machine's binary) is the command's
 * failure: runc says "exec /x: …" in its place and exits with 1, as BuildKit shows it.  Written
 * against runc 1.1.5. */
#include <string.h>

#include "base/text.h"
#include "builder/run_inside.h"

#define FAILED "runc run failed: "

/* The message of a line of the log when it says that the run failed; NULL otherwise. */
static const char *failure_of(const json_t *line)
{
    const char *message = json_string_value(json_object_get(line, "msg"));

    if (!message)
        return NULL;
    if (text_starts(message, FAILED))
        return message + strlen(FAILED);
    /* From the container's first process, when the kernel refuses the program in the end. */
    return strstr(message, "exec user process caused") || text_starts(message, "exec /") ? message
                                                                                         : NULL;
}

bool run_verdict_read(const char *log, struct buf *ret_message)
{
    bool found = false;

    for (const char *at = log; *at; at += at[0] == '\n') {
        size_t len = strcspn(at, "\n");
        json_t *line = json_loadb(at, len, 0, NULL);
        const char *message = failure_of(line);

        if (message) {
            buf_clear(ret_message);
            buf_adds(ret_message, message);
            found = true;
        }
        json_decref(line);
        at += len;
    }
    return found;
}

/* "a b c", cut when it is long. */
static void name_process(const struct argv *argv, struct buf *out)
{
    for (size_t i = 0; i < argv->n; i++)
        buf_addf(out, "%s%s", i ? " " : "", argv->v[i]);
}

/* runc quotes where in the tree it could not mount; that the user chose the place makes it theirs.
 */
static bool is_of_users_mount(const struct run_request *req, const char *message)
{
    const char *at = strstr(message, "error mounting ");

    for (size_t i = 0; at && i < req->n_mounts; i++) {
        CLEANUP(buf_release) struct buf quoted = BUF_INIT(8192);

        buf_addf(&quoted, "to rootfs at \"%s\"", req->mounts[i].target);
        if (strstr(at, buf_str(&quoted)))
            return true;
    }
    return false;
}

static bool is_users(const struct run_request *req, const char *message)
{
    static const char *const phrases[] = {
        "exec: ", /* no such program, or not executable */
        "chdir to cwd",
        "mkdir ", /* the working directory's */
        "unmapped user",
        "unmapped group",
        "must be mounted on ordinary directory",
        "cannot be mounted because it is",
    };

    for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++)
        if (strstr(message, phrases[i]))
            return true;
    return is_of_users_mount(req, message);
}

static const char *without(const char *message, const char *prefix)
{
    return text_starts(message, prefix) ? message + strlen(prefix) : message;
}

int run_verdict_error(const struct run_request *req, const char *message, struct error *err)
{
    CLEANUP(buf_release) struct buf name = BUF_INIT(4096);

    message = without(message, "unable to start container process: ");
    message = without(message, "error during container init: ");
    if (!is_users(req, message))
        return error_set(err, ERR_SYSTEM, "start a container: %s", message);
    name_process(req->argv, &name);
    return error_set(err, ERR_INPUT, "process \"%.300s\" did not complete successfully: %s",
                     buf_str(&name), message);
}
