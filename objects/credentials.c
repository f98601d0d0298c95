/* objects/credentials — the keys of the store, from a file or from the environment. */
#include <fcntl.h>
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "objects/objects.h"

#define FILE_MAX (64u << 10)

struct field {
    const char *name, *variable;
    char *value;
    size_t size;
};

static int set(const struct field *f, const char *value, struct error *err)
{
    if (strlen(value) >= f->size || text_has_control(value, strlen(value)))
        return error_set(err, ERR_INPUT, "s3_credentials: %s is too long or has odd characters",
                         f->name);
    (void)snprintf(f->value, f->size, "%s", value);
    return 0;
}

static char *trim(char *text)
{
    text += strspn(text, " \t\r");
    for (size_t n = strlen(text); n > 0 && strchr(" \t\r", text[n - 1]); n--)
        text[n - 1] = '\0';
    return text;
}

/* "name = value" of the section [default]; what else stands there is somebody else's. */
static int read_line(char *line, bool *in_default, const struct field *fields, size_t n,
                     struct error *err)
{
    char *text = trim(line);
    char *equals = strchr(text, '=');
    const char *name;

    if (*text == '[')
        *in_default = strcmp(text, "[default]") == 0;
    if (!*in_default || !equals || strchr("#;[", *text))
        return 0;
    *equals = '\0';
    name = trim(text);
    for (size_t i = 0; i < n; i++)
        if (strcmp(name, fields[i].name) == 0)
            return set(&fields[i], trim(equals + 1), err);
    return 0;
}

static int read_file(const char *file, const struct field *fields, size_t n, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(FILE_MAX);
    bool in_default = true; /* also without a section */
    char *rest;
    int result = 0;

    if (fs_read_file(AT_FDCWD, file, &text, err) < 0)
        return error_wrap(err, "s3_credentials");
    buf_addc(&text, '\n');
    rest = text.data;
    while (rest && result == 0) {
        char *line = strsep(&rest, "\n");

        result = read_line(line, &in_default, fields, n, err);
    }
    if (text.data)
        explicit_bzero(text.data, text.len);
    return result;
}

int objects_credentials_read(const char *file, struct objects_credentials *ret, struct error *err)
{
    const struct field fields[] = {
        {"aws_access_key_id", "AWS_ACCESS_KEY_ID", ret->access, sizeof(ret->access)},
        {"aws_secret_access_key", "AWS_SECRET_ACCESS_KEY", ret->secret, sizeof(ret->secret)},
        {"aws_session_token", "AWS_SESSION_TOKEN", ret->token, sizeof(ret->token)}};
    const size_t n = sizeof(fields) / sizeof(fields[0]);

    *ret = (struct objects_credentials){.access = ""};
    if (*file && read_file(file, fields, n, err) < 0)
        return -1;
    for (size_t i = 0; !*file && i < n; i++)
        if (getenv(fields[i].variable) && set(&fields[i], getenv(fields[i].variable), err) < 0)
            return -1;
    if (ret->access[0] && ret->secret[0])
        return 0;
    if (*file)
        return error_set(err, ERR_INPUT,
                         "s3_credentials: %s has no aws_access_key_id and aws_secret_access_key in "
                         "its section [default]",
                         file);
    return error_set(err, ERR_INPUT,
                     "s3_credentials: it names no file, and AWS_ACCESS_KEY_ID and "
                     "AWS_SECRET_ACCESS_KEY are not set");
}
