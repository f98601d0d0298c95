/* builder/jail_net — the jail's network: nothing but lo, or a way out through slirp4netns.
 *
 * slirp4netns carries packets between a tap device in the jail and ordinary sockets of its own on
 * the host, so to the host a build's connections are those of one unprivileged program.  It must
 * not carry them to the host itself: --disable-host-loopback closes 127.0.0.1 (its 10.0.2.2), and
 * routes in the jail (jail_routes.c) refuse what else must not be reached. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>

#include "base/fs.h"
#include "builder/jail_inside.h"

#define SLIRP_READY_MS 30000

/* ---- outside ---- */

static bool is_slirp_net(uint32_t address) /* 10.0.2.0/24, slirp4netns' own */
{
    return (ntohl(address) & 0xffffff00u) == 0x0a000200u;
}

int jail_net_own_addresses(struct jail_addresses *ret, struct error *err)
{
    struct ifaddrs *list;
    struct jail_addresses own = {.n = 0};

    if (getifaddrs(&list) < 0)
        return error_errno(err, errno, "list the host's addresses");
    for (const struct ifaddrs *i = list; i && own.n < JAIL_ADDRESSES; i = i->ifa_next) {
        struct sockaddr_in in;

        if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET || (i->ifa_flags & IFF_LOOPBACK))
            continue;
        memcpy(&in, i->ifa_addr, sizeof(in));
        if (!is_slirp_net(in.sin_addr.s_addr))
            own.v[own.n++] = in.sin_addr.s_addr;
    }
    freeifaddrs(list);
    *ret = own;
    return 0;
}

static void slirp_arguments(const struct jail_spec *spec, pid_t pid, struct argv *argv)
{
    argv_push(argv, "slirp4netns", "--configure", "--mtu=65520", "--disable-host-loopback",
              "--enable-sandbox", "--enable-seccomp", "--ready-fd=3", "--exit-fd=4", NULL);
    /* A name server answers whoever asks, and so carries anything anywhere. */
    if (spec->net == JAIL_NET_LIST)
        argv_push(argv, "--disable-dns", NULL);
    /* As root it stays in the host's user namespace, because /dev/net/tun is often open to the
     * host's root only; as an ordinary user it must enter the jail's to be allowed anything. */
    if (spec->ids.users == JAIL_USERS_HELPERS)
        argv_pushf(argv, "%d", pid);
    else {
        argv_push(argv, "--netns-type=path", NULL);
        argv_pushf(argv, "/proc/%d/ns/net", pid);
    }
    argv_push(argv, "tap0", NULL);
}

/* The last line it wrote, for the message. */
static const char *last_words(int log_fd, struct buf *text)
{
    struct error ignored = ERROR_INIT;
    char *end;

    if (lseek(log_fd, 0, SEEK_SET) < 0 || fs_read_fd(log_fd, text, &ignored) < 0 || !text->len)
        return "it said nothing";
    end = text->data + text->len;
    while (end > text->data && end[-1] == '\n')
        *--end = '\0';
    end = strrchr(text->data, '\n');
    return end ? end + 1 : text->data;
}

static int wait_until_ready(int ready_fd, int log_fd, struct error *err)
{
    struct pollfd p = {.fd = ready_fd, .events = POLLIN};
    CLEANUP(buf_release) struct buf said = BUF_INIT(65536);
    char byte;

    if (poll(&p, 1, SLIRP_READY_MS) == 1 && read(ready_fd, &byte, 1) == 1)
        return 0;
    return error_set(err, ERR_SYSTEM, "start slirp4netns: %s", last_words(log_fd, &said));
}

int jail_net_start_slirp(const struct jail_spec *spec, pid_t pid, struct process *ret,
                         int *ret_exit_fd, struct error *err)
{
    CLEANUP(argv_release) struct argv argv = ARGV_INIT;
    CLEANUP_CLOSE int log_fd = memfd_create("slirp4netns", MFD_CLOEXEC);
    CLEANUP_CLOSE int ready_fd = -1;
    CLEANUP_CLOSE int exit_fd = -1;
    int ready[2];
    int quit[2];
    struct process slirp = {0};
    int result;

    if (log_fd < 0 || pipe2(ready, O_CLOEXEC) < 0)
        return error_errno(err, errno, "start slirp4netns");
    ready_fd = ready[0];
    if (pipe2(quit, O_CLOEXEC) < 0) {
        close(ready[1]);
        return error_errno(err, errno, "start slirp4netns");
    }
    exit_fd = quit[1];
    slirp_arguments(spec, pid, &argv);
    result = process_start(&argv, NULL, (const int[]){ready[1], quit[0]}, 2, log_fd, &slirp, err);
    close(ready[1]);
    close(quit[0]);
    if (result < 0)
        return -1;
    if (wait_until_ready(ready_fd, log_fd, err) < 0) {
        process_stop(&slirp, 0);
        return -1;
    }
    *ret = slirp;
    *ret_exit_fd = TAKE_FD(exit_fd);
    return 0;
}

/* ---- inside ---- */

static int raise_lo(struct error *err)
{
    CLEANUP_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {.ifr_name = "lo"};

    if (fd < 0)
        return error_errno(err, errno, "open a socket");
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        return error_errno(err, errno, "raise lo");
    return 0;
}

int jail_net_configure(const struct jail_spec *spec, const struct jail_addresses *own,
                       struct error *err)
{
    if (spec->net == JAIL_NET_HOST)
        return 0;
    if (raise_lo(err) < 0)
        return -1;
    return spec->net == JAIL_NET_NONE ? 0 : jail_routes_set(spec, own, err);
}

/* Nobody in the jail has power over it: its rights belong to the jail's user namespace, and
 * CAP_NET_ADMIN there to nobody (jail_rights.c). */
int jail_net_make_loopback(const char *path, struct error *err)
{
    CLEANUP_CLOSE int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    int result;

    if (own < 0)
        return error_errno(err, errno, "open the network namespace");
    if (unshare(CLONE_NEWNET) < 0)
        return error_errno(err, errno, "make a network namespace");
    result = raise_lo(err);
    if (result == 0 && mount("/proc/self/ns/net", path, NULL, MS_BIND, NULL) < 0)
        result = error_errno(err, errno, "keep a network namespace");
    if (setns(own, CLONE_NEWNET) < 0)
        return error_errno(err, errno, "go back to the network namespace");
    return result;
}
