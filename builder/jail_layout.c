/* builder/jail_layout — the tree that every jail has. */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "builder/jail.h"

/* The host's /bin, /lib… : links into /usr where the host has links, else bound. */
static void add_usr(struct jail_spec *s)
{
    static const char *const names[] = {"bin", "sbin", "lib", "lib32", "lib64", "libx32"};

    jail_spec_add(s, JAIL_BIND_RO, "usr", "/usr");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[32];
        char target[256];
        ssize_t n;
        struct stat st;

        (void)snprintf(path, sizeof(path), "/%s", names[i]);
        n = readlink(path, target, sizeof(target) - 1);
        if (n > 0) {
            target[n] = '\0';
            jail_spec_add(s, JAIL_LINK, names[i], target);
        } else if (stat(path, &st) == 0) {
            jail_spec_add(s, JAIL_BIND_RO, names[i], path);
        }
    }
}

static void add_resolver(struct jail_spec *s)
{
    struct buf text = BUF_INIT(2 * JAIL_HOSTS_MAX);
    struct error ignored = ERROR_INIT;

    if (s->net == JAIL_NET_NAT)
        buf_adds(&text, "nameserver 10.0.2.3\n"); /* slirp4netns(1): the built-in DNS */
    else if (s->net == JAIL_NET_HOST &&
             fs_read_file(AT_FDCWD, "/etc/resolv.conf", &text, &ignored) < 0)
        buf_clear(&text); /* a host without one resolves by /etc/hosts alone */
    jail_spec_add(s, JAIL_FILE, "etc/resolv.conf", buf_str(&text));
    buf_clear(&text);
    if (s->net == JAIL_NET_HOST && fs_read_file(AT_FDCWD, "/etc/hosts", &text, &ignored) < 0)
        buf_clear(&text);
    if (text.len == 0)
        buf_adds(&text, "127.0.0.1 localhost\n::1 localhost\n");
    buf_adds(&text, buf_str(&s->hosts));
    /* In /run, where builder-fetch can add to it. */
    jail_spec_add(s, JAIL_FILE, "run/hosts", buf_str(&text));
    jail_spec_add(s, JAIL_LINK, "etc/hosts", "../run/hosts");
    buf_release(&text);
}

static void add_etc(struct jail_spec *s)
{
    jail_spec_add(s, JAIL_FILE, "etc/passwd",
                  "root:x:0:0:root:/run/root:/bin/sh\n"
                  "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n");
    jail_spec_add(s, JAIL_FILE, "etc/group", "root:x:0:\nnogroup:x:65534:\n");
    jail_spec_add(s, JAIL_FILE, "etc/nsswitch.conf",
                  "passwd: files\ngroup: files\nhosts: files dns\n");
    /* Only the public half of /etc/ssl: its private/ holds the host's keys. */
    if (access("/etc/ssl/certs", F_OK) == 0)
        jail_spec_add(s, JAIL_BIND_RO, "etc/ssl/certs", "/etc/ssl/certs");
    add_resolver(s);
}

static void add_dev(struct jail_spec *s)
{
    static const char *const nodes[] = {"null", "zero", "full", "random", "urandom", "tty"};

    jail_spec_add(s, JAIL_TMPFS, "dev", "mode=755,size=64k");
    for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
        char path[32];

        (void)snprintf(path, sizeof(path), "/dev/%s", nodes[i]);
        jail_spec_add(s, JAIL_DEVICE, path + 1, path);
    }
    jail_spec_add(s, JAIL_DEVPTS, "dev/pts", "newinstance,ptmxmode=0666,mode=0620");
    jail_spec_add(s, JAIL_LINK, "dev/ptmx", "pts/ptmx");
    jail_spec_add(s, JAIL_TMPFS, "dev/shm", "mode=1777,size=64m");
    jail_spec_add(s, JAIL_LINK, "dev/fd", "/proc/self/fd");
    jail_spec_add(s, JAIL_LINK, "dev/stdin", "/proc/self/fd/0");
    jail_spec_add(s, JAIL_LINK, "dev/stdout", "/proc/self/fd/1");
    jail_spec_add(s, JAIL_LINK, "dev/stderr", "/proc/self/fd/2");
}

void jail_spec_add_base(struct jail_spec *s)
{
    add_usr(s);
    jail_spec_add(s, JAIL_TMPFS, "run", "mode=755,size=64m");
    jail_spec_add(s, JAIL_DIR, "run/root", "");
    add_etc(s);
    jail_spec_add(s, JAIL_PROC, "proc", "");
    add_dev(s);
    jail_spec_add(s, JAIL_TMPFS, "sys", "mode=755,size=64k");
    jail_spec_add(s, JAIL_TMPFS, "tmp", "mode=1777,size=256m");
    jail_spec_add(s, JAIL_TMPFS, "var/lib/containers", "mode=700,size=256m");
}

void jail_spec_add_authorities(struct jail_spec *s, const char *ca_file)
{
    static const char path[] = "etc/kiln/ca-certificates.pem";

    if (!ca_file)
        return;
    jail_spec_add(s, JAIL_BIND_RO, path, ca_file);
    argv_pushf(&s->env, JAIL_AUTHORITIES "=/%s", path);
}
