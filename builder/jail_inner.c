/* builder/jail_inner — the builder's own programs for the inside of a jail. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/text.h"
#include "builder/address.h"
#include "builder/jail_inside.h"
#include "builder/run_inside.h"
#include "builder/trial.h"

/* builder-remove PATH: what ids of the user namespace own, an ordinary user cannot remove outside
 * of it. */
static int remove_main(int argc, char **argv)
{
    struct error err = ERROR_INIT;

    if (argc == 2 && fs_remove_tree(AT_FDCWD, argv[1], &err) == 0)
        return 0;
    (void)fprintf(stderr, "%s\n", err.msg);
    return 1;
}

/* builder-probe DIR: mounts an overlay on DIR and writes through it. */
static int probe_main(int argc, char **argv)
{
    static const char *const parts[] = {"lower", "upper", "work", "merged"};
    int fd;

    if (argc != 2 || chdir(argv[1]) < 0)
        return 1;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (mkdir(parts[i], 0755) < 0 && errno != EEXIST)
            return 1;
    if (mount("overlay", "merged", "overlay", 0, "lowerdir=lower,upperdir=upper,workdir=work") <
            0 &&
        mount("overlay", "merged", "overlay", 0,
              "lowerdir=lower,upperdir=upper,workdir=work,userxattr") < 0) {
        (void)fprintf(stderr, "mount an overlay: %s\n", strerror(errno));
        return 1;
    }
    fd = open("merged/file", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return 1;
    close(fd);
    return 0;
}

/* ---- fetching ---- */

/* Writes the addresses to the jail's /etc/hosts, so that the program after us connects to what was
 * looked at here, whatever the name server says a second later. */
static int pin(const struct addrinfo *list, const char *host)
{
    FILE *hosts = fopen("/run/hosts", "ae");

    if (!hosts)
        return -1;
    for (; list; list = list->ai_next) {
        char text[INET6_ADDRSTRLEN];

        if (getnameinfo(list->ai_addr, list->ai_addrlen, text, sizeof(text), NULL, 0,
                        NI_NUMERICHOST) == 0)
            (void)fprintf(hosts, "%s %s\n", text, host);
    }
    return fclose(hosts);
}

struct vet {
    const char *host;
    const char *prefix; /* of messages: "Error: " as buildah writes it */
    bool (*refuses)(const struct sockaddr *address);
    const char *why;
};

static int look_up(const struct vet *v)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int problem = getaddrinfo(v->host, NULL, &hints, &list);
    int result = 0;

    if (problem) {
        (void)fprintf(stderr, "%slook up %s: %s\n", v->prefix, v->host, gai_strerror(problem));
        return JAIL_VET_UNKNOWN;
    }
    for (const struct addrinfo *i = list; i && result == 0; i = i->ai_next)
        if (v->refuses(i->ai_addr)) {
            (void)fprintf(stderr, "%snot allowed: %s %s\n", v->prefix, v->host, v->why);
            result = JAIL_VET_REFUSED;
        }
    if (result == 0 && pin(list, v->host) < 0) {
        (void)fprintf(stderr, "%swrite the hosts file: %s\n", v->prefix, strerror(errno));
        result = 1;
    }
    freeaddrinfo(list);
    return result;
}

static bool is_inside(const struct sockaddr *address)
{
    return address_is_forbidden(address) || address_is_private(address);
}

int jail_inner_vet(const char *host)
{
    const struct vet vet = {host, "", is_inside,
                            "is on this machine or in a private network, and the operator's "
                            "git_hosts does not name it"};

    return look_up(&vet);
}

bool builder_may_fetch_from(const char *authority)
{
    char host[ADDRESS_NAME];

    address_name(authority, host);
    return jail_inner_vet(host) == 0;
}

/* Whether the jail's routes refuse it (EACCES); sends nothing. */
static bool is_refused(const struct sockaddr *address, uint16_t port)
{
    CLEANUP_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in in;

    if (address->sa_family != AF_INET || fd < 0)
        return false;
    memcpy(&in, address, sizeof(in));
    in.sin_port = htons(port);
    return connect(fd, (struct sockaddr *)&in, sizeof(in)) < 0 && errno == EACCES;
}

/* All of a name's addresses lie where nothing leads: better said at once than found out. */
static int look_for_way(const char *host, const char *authority)
{
    const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    const char *port = strrchr(authority, ':');
    struct addrinfo *list = NULL;
    uint64_t number = 443;
    bool found = false;

    if (port && !text_to_u64(port + 1, 65535, &number))
        number = 443; /* the last part of an IPv6 address */
    if (getaddrinfo(host, NULL, &hints, &list))
        list = NULL;
    for (const struct addrinfo *i = list; i && !found; i = i->ai_next)
        found = !is_refused(i->ai_addr, (uint16_t)number);
    if (list)
        freeaddrinfo(list);
    if (found)
        return 0;
    (void)fprintf(stderr,
                  "Error: not allowed: %s is on this machine or in a private network, and the "
                  "operator's egress_allow does not name it\n",
                  authority);
    return JAIL_VET_REFUSED;
}

int jail_inner_vet_registry(const char *authority)
{
    char host[ADDRESS_NAME];
    const struct vet vet = {host, "Error: ", address_is_forbidden, "is an address of this machine"};
    int result;

    address_name(authority, host);
    result = look_up(&vet);
    return result == 0 ? look_for_way(host, authority) : result;
}

/* builder-nothing: for a jail that is made only to see whether it can be. */
static int nothing_main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return 0;
}

const struct builder_inner builder_own_inner[] = {
    {"builder-nothing", nothing_main},
    {"builder-remove", remove_main},
    {"builder-probe", probe_main},
    {"builder-run", run_probe_main},
    {TRIAL, trial_main},
    {NULL, NULL},
};
