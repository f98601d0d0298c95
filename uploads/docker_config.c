/* uploads/docker_config — registry credentials from a user's docker config.json, and nothing else
 * from it: "credsStore", "credHelpers", "plugins" and their like make a reader run programs.
 *
 * The parser's own messages quote the text, so an error here says the place and no more. */
#include <jansson.h>
#include <string.h>

#include "base/text.h"
#include "uploads/uploads.h"

static bool is_base64(const char *s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = strspn(s, digits);

    return n > 0 && s[n + strspn(s + n, "=")] == '\0';
}

/* A new reference; NULL when the entry holds no credentials (as with a helper, or after logout). */
static json_t *read_auth(const json_t *entry)
{
    const char *auth = json_string_value(json_object_get(entry, "auth"));
    const char *user = json_string_value(json_object_get(entry, "username"));
    const char *password = json_string_value(json_object_get(entry, "password"));
    CLEANUP(buf_release) struct buf plain = BUF_INIT(64 << 10);
    CLEANUP(buf_release) struct buf coded = BUF_INIT(128 << 10);

    if (auth && is_base64(auth))
        return json_pack("{s:s}", "auth", auth);
    if (!user || !password)
        return NULL;
    buf_addf(&plain, "%s:%s", user, password);
    digest_base64(buf_str(&plain), plain.len, &coded);
    return plain.full || coded.full ? NULL : json_pack("{s:s}", "auth", buf_str(&coded));
}

static int copy_auths(json_t *from, json_t *to, struct error *err)
{
    const char *host;
    json_t *entry;

    json_object_foreach (from, host, entry) {
        json_t *auth;

        if (!*host || text_has_control(host, strlen(host)) || !json_is_object(entry))
            return error_set(err, ERR_INPUT,
                             ".docker/config.json: each member of \"auths\" must be a registry's "
                             "host with an object");
        auth = read_auth(entry);
        if (auth && json_object_set_new(to, host, auth) < 0)
            return error_set(err, ERR_SYSTEM, ".docker/config.json: out of memory");
    }
    return 0;
}

int upload_clean_docker_config(const char *text, size_t len, struct buf *out, struct error *err)
{
    json_error_t where;
    json_auto_t *config = json_loadb(text, len, 0, &where);
    json_auto_t *clean = json_pack("{s:{}}", "auths");
    CLEANUP_FREE char *dump = NULL;
    json_t *auths;

    if (!config)
        return error_set(err, ERR_INPUT, ".docker/config.json: not JSON at line %d, column %d",
                         where.line, where.column);
    auths = json_object_get(config, "auths");
    if (!json_is_object(config) || (auths && !json_is_object(auths)))
        return error_set(err, ERR_INPUT,
                         ".docker/config.json: must be an object with an object \"auths\"");
    if (!clean || (auths && copy_auths(auths, json_object_get(clean, "auths"), err) < 0))
        return clean ? -1 : error_set(err, ERR_SYSTEM, ".docker/config.json: out of memory");
    dump = json_dumps(clean, JSON_COMPACT | JSON_SORT_KEYS);
    if (!dump)
        return error_set(err, ERR_SYSTEM, ".docker/config.json: out of memory");
    buf_adds(out, dump);
    return buf_check(out, ".docker/config.json", err);
}
