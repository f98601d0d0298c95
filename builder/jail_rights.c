/* builder/jail_rights — capabilities (capabilities(7)), by the raw system calls.
 *
 * In a user namespace they are powers over the jail's own things only.  The bounding set is cut
 * all the same: without CAP_NET_ADMIN nobody in the jail can take back the routes that refuse
 * link-local addresses, and without a user namespace (JAIL_USERS_NONE) it is what keeps a root
 * that broke out of buildah's chroot from making device nodes or loading modules. */
#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "builder/jail_inside.h"

#define BIT(cap) (UINT64_C(1) << (cap))

/* Files of any owner in the job's directories. */
#define FILES (BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FOWNER) | BIT(CAP_FSETID))

/* buildah: mounts, chroot, becoming the USER of an image; and what it grants a RUN. */
#define MOUNT                                                                                      \
    (FILES | BIT(CAP_SYS_ADMIN) | BIT(CAP_SYS_CHROOT) | BIT(CAP_SETUID) | BIT(CAP_SETGID) |        \
     BIT(CAP_SETPCAP) | BIT(CAP_SETFCAP) | BIT(CAP_KILL) | BIT(CAP_NET_BIND_SERVICE) |             \
     BIT(CAP_DAC_READ_SEARCH))

static uint64_t allowed(const struct jail_spec *spec)
{
    return spec->rights == JAIL_RIGHTS_FILES ? FILES : MOUNT;
}

int jail_rights_bound(const struct jail_spec *spec, struct error *err)
{
    for (unsigned cap = 0; cap < 64; cap++) {
        if (allowed(spec) & BIT(cap))
            continue;
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0)
            continue;
        if (errno == EINVAL)
            return 0; /* past the last one this kernel knows */
        return error_errno(err, errno, "drop capability %u", cap);
    }
    return 0;
}

static int set_capabilities(uint64_t set, struct error *err)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {
        {.effective = (uint32_t)set, .permitted = (uint32_t)set},
        {.effective = (uint32_t)(set >> 32), .permitted = (uint32_t)(set >> 32)}};

    if (syscall(SYS_capset, &head, data) < 0)
        return error_errno(err, errno, "set capabilities");
    return 0;
}

int jail_rights_drop(const struct jail_spec *spec, struct error *err)
{
    /* A program that is exec'd as root gets what the bounding set leaves. */
    if (spec->inner && set_capabilities(allowed(spec), err) < 0)
        return -1;
    if (spec->rights != JAIL_RIGHTS_BUILD && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return error_errno(err, errno, "refuse new privileges");
    return 0;
}
