/* programs/volume_serve — `kiln volume serve`: becomes an nbdkit with the plugin. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"
#include "programs/beside.h"
#include "programs/volume_words.h"

/* ---- where it listens ---- */

struct place {
    char socket[sizeof(((struct sockaddr_un *)NULL)->sun_path)]; /* absolute; "": TCP */
    char host[256], port[8];
    char uri[512];
};

/* "HOST:PORT"; an IPv6 address in brackets.  The configuration has checked it. */
static int read_listen(const char *text, struct place *p, struct error *err)
{
    const char *colon = strrchr(text, ':');
    bool six = text[0] == '[' && colon && colon > text + 1 && colon[-1] == ']';
    int n = colon ? (int)(colon - text) - (six ? 2 : 0) : 0;

    if (!colon || n >= (int)sizeof(p->host) || strlen(colon + 1) >= sizeof(p->port))
        return error_set(err, ERR_INPUT, "--listen is HOST:PORT, not \"%s\"", text);
    (void)snprintf(p->host, sizeof(p->host), "%.*s", n, text + (six ? 1 : 0));
    (void)snprintf(p->port, sizeof(p->port), "%s", colon + 1);
    (void)snprintf(p->uri, sizeof(p->uri), "nbd://%s", text);
    return 0;
}

static int absolute_socket(const char *path, struct place *p, struct error *err)
{
    char cwd[PATH_MAX] = "";
    int n;

    if (path[0] != '/' && !getcwd(cwd, sizeof(cwd)))
        return error_errno(err, errno, "find the current directory");
    n = snprintf(p->socket, sizeof(p->socket), "%s%s%s", cwd, cwd[0] ? "/" : "", path);
    if (n >= (int)sizeof(p->socket))
        return error_set(err, ERR_INPUT,
                         "the socket's path is too long for a socket (%zu bytes): choose a shorter "
                         "one with --socket",
                         sizeof(p->socket) - 1);
    (void)snprintf(p->uri, sizeof(p->uri), "nbd+unix:///?socket=%s", p->socket);
    return 0;
}

/* A server that was killed leaves its socket: nobody answers there. */
static int clear_socket(const struct place *p, struct error *err)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    CLEANUP_CLOSE int fd = -1;
    struct stat st;

    if (lstat(p->socket, &st) < 0)
        return 0;
    memcpy(a.sun_path, p->socket, sizeof(p->socket));
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (!S_ISSOCK(st.st_mode) || fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 ||
        errno != ECONNREFUSED)
        return error_set(err, ERR_INPUT,
                         "%s is there already: end the server behind it, or choose another with "
                         "--socket",
                         p->socket);
    return unlink(p->socket) < 0 ? error_errno(err, errno, "remove %s", p->socket) : 0;
}

/* --listen is also a key of the configuration, for kiln serve; here only the option counts. */
static const char *listen_option(const struct config *config)
{
    for (size_t i = 0; i < CONFIG_KEYS; i++)
        if (strcmp(config_row(i).name, "listen") == 0)
            return config->sources[i].origin == CONFIG_OPTION ? config->listen : NULL;
    return NULL;
}

static int find_place(const struct config *config, const struct template_words *w, const char *name,
                      struct place *ret, struct error *err)
{
    const char *listen = listen_option(config);
    char path[128];

    *ret = (struct place){.socket = ""};
    if (listen && w->socket)
        return error_set(err, ERR_INPUT, "say --socket or --listen, not both");
    if (listen)
        return read_listen(listen, ret, err);
    (void)snprintf(path, sizeof(path), "%s.sock", name);
    if (absolute_socket(w->socket ? w->socket : path, ret, err) < 0)
        return -1;
    return clear_socket(ret, err);
}

/* ---- starting ---- */

static int make_words(const struct config *config, const struct template_words *w,
                      const struct volume_choice *c, const struct template_disk_info *i,
                      const struct place *p, struct argv *argv, struct error *err)
{
    char plugin[PATH_MAX];

    if (!program_is_there("nbdkit"))
        return error_set(err, ERR_SYSTEM, "nbdkit is not installed: apt-get install nbdkit");
    if (!program_find_plugin(plugin))
        return error_set(err, ERR_SYSTEM,
                         "this kiln was built without the nbdkit plugin: apt-get install "
                         "nbdkit-plugin-dev, and build it again");
    argv_push(argv, "nbdkit", "--foreground", "--exportname", "", NULL);
    if (p->socket[0])
        argv_push(argv, "--unix", p->socket, NULL);
    else
        argv_push(argv, "--port", p->port, NULL);
    if (!p->socket[0] && p->host[0])
        argv_push(argv, "--ipaddr", p->host, NULL);
    argv_push1(argv, plugin);
    if (!config->templates[0])
        argv_pushf(argv, "store=%s/templates/%s", config->data_dir, w->workspace);
    argv_pushf(argv, "template=%s:%llu", i->ref.name, (unsigned long long)i->ref.revision);
    argv_pushf(argv, "size=%llu", (unsigned long long)i->size);
    if (p->socket[0])
        argv_pushf(argv, "socket=%s", p->socket);
    if (c->req.overlay)
        argv_pushf(argv, "overlay=%s", c->req.overlay);
    return argv->failed ? error_set(err, ERR_SYSTEM, "start nbdkit: out of memory") : 0;
}

static void print_how(const struct volume_choice *c, const struct template_disk_info *i,
                      const struct place *p)
{
    const char *quiet = i->writable ? "" : " -o ro,noload";
    char size[TEXT_SIZE];

    text_size(i->size, size);
    printf("%s of %s:%llu, %s%s%s\n%s\n\n", size, i->ref.name, (unsigned long long)i->ref.revision,
           i->writable ? "writes go to "
                       : "cannot be written: say a NAME or --overlay FILE to write",
           i->writable ? c->req.overlay : "", i->fresh ? " (new)" : "", p->uri);
    if (p->socket[0])
        printf("  kernel  nbd-client -unix %s /dev/nbd0 && mount%s /dev/nbd0 /mnt\n", p->socket,
               quiet);
    else
        printf("  kernel  nbd-client %s %s /dev/nbd0 && mount%s /dev/nbd0 /mnt\n",
               p->host[0] ? p->host : "localhost", p->port, quiet);
    printf("  qemu    -drive file='%s',format=raw,if=virtio%s\n", p->uri,
           i->writable ? "" : ",readonly=on");
    printf("  file    nbdfuse DIR/volume.img '%s'\n", p->uri);
    if (i->size > i->image_size)
        printf("\nThe file system takes %llu of these %llu bytes: resize2fs /dev/nbd0 grows it.\n",
               (unsigned long long)i->image_size, (unsigned long long)i->size);
    printf("\nCtrl-C or SIGTERM ends it%s.\n", i->writable ? "; unmount first" : "");
    (void)fflush(stdout);
}

/* In nbdkit signals are its own, and over a store in a directory nobody stands between. */
int volume_become(const struct argv *argv, struct error *err)
{
    sigset_t none;

    sigemptyset(&none);
    (void)pthread_sigmask(SIG_SETMASK, &none, NULL);
    (void)umask(0077); /* whoever may use the socket may write the volume */
    execvp(argv->v[0], argv->v);
    return error_errno(err, errno, "start nbdkit");
}

int volume_serve_command(const struct config *config, struct template_store *s,
                         const struct template_words *w, struct error *err)
{
    CLEANUP(argv_release) struct argv argv = ARGV_INIT;
    struct volume_choice choice;
    struct template_disk *disk = NULL;
    struct template_disk_info info;
    struct place place;

    if (volume_choose(config, w, &choice, err) < 0 ||
        find_place(config, w, choice.name, &place, err) < 0)
        return -1;
    choice.req.size = w->size << 20;
    choice.req.cache_max = 0;
    if (template_disk_open(s, &choice.req, &disk, err) < 0) /* what is wrong is said here */
        return -1;
    info = *template_disk_info(disk);
    template_disk_free(disk);
    if (make_words(config, w, &choice, &info, &place, &argv, err) < 0)
        return -1;
    print_how(&choice, &info, &place);
    return config->templates[0] ? volume_serve_bucket(config, w->workspace, &argv, err)
                                : volume_become(&argv, err);
}
