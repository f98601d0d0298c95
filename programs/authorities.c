/* programs/authorities — see the header. */
#include "programs/authorities.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/argv.h"
#include "base/buf.h"
#include "base/fs.h"
#include "base/text.h"

#define KEY       "ca_certificates: "
#define BYTES_MAX (8U << 20) /* Debian's own bundle has 0.2 MiB */
#define BEGIN     "-----BEGIN CERTIFICATE-----"

static int add_file(const char *path, struct buf *out, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(BYTES_MAX);

    if (fs_read_file(AT_FDCWD, path, &text, err) < 0)
        return error_wrap(err, KEY "read %s", path);
    if (strlen(buf_str(&text)) != text.len || !strstr(buf_str(&text), BEGIN))
        return error_set(err, ERR_INPUT,
                         KEY "%s holds no certificate in PEM form (it begins with %s; convert DER "
                             "with `openssl x509 -inform der`)",
                         path, BEGIN);
    if (strstr(buf_str(&text), "PRIVATE KEY-----"))
        return error_set(err, ERR_INPUT,
                         KEY "%s holds a private key: builds can read this file, so put the "
                             "certificates alone into it",
                         path);
    buf_add(out, text.data, text.len);
    buf_addc(out, '\n');
    return 0;
}

static int add_directory(const char *path, struct buf *out, struct error *err)
{
    CLEANUP(argv_release) struct argv names = ARGV_INIT;

    if (fs_list(AT_FDCWD, path, &names, err) < 0)
        return error_wrap(err, KEY "read %s", path);
    for (size_t i = 0; i < names.n; i++) {
        char file[PATH_MAX];

        if (!text_ends(names.v[i], ".pem") && !text_ends(names.v[i], ".crt"))
            continue;
        if (snprintf(file, sizeof(file), "%s/%s", path, names.v[i]) >= (int)sizeof(file))
            return error_set(err, ERR_INPUT, KEY "%s: a name in it is too long", path);
        if (add_file(file, out, err) < 0)
            return -1;
    }
    return out->len ? 0 : error_set(err, ERR_INPUT, KEY "%s has no *.pem or *.crt in it", path);
}

int authorities_collect(const char *from, const char *to, struct error *err)
{
    CLEANUP(buf_release) struct buf all = BUF_INIT(BYTES_MAX);
    struct stat st;

    if (stat(from, &st) < 0)
        return error_set(err, ERR_INPUT, KEY "%s is not there, or cannot be read", from);
    if ((S_ISDIR(st.st_mode) ? add_directory(from, &all, err) : add_file(from, &all, err)) < 0 ||
        buf_check(&all, "ca_certificates", err) < 0)
        return -1;
    return fs_write_file(AT_FDCWD, to, buf_str(&all), all.len, 0644, err);
}
