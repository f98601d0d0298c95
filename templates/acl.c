/* templates/acl — see the header. */
#include "templates/acl.h"

#include <archive.h>

#include "base/text.h"
#include "templates/bytes.h"
#include "templates/entry_path.h"

#define VERSION    2u
#define HEAD_SIZE  4u /* u32 version */
#define ENTRY_SIZE 8u /* u16 tag, u16 permissions, u32 user or group */
#define NO_ID      UINT32_MAX

/* In the order that the kernel wants; the index is the place of the tag's bit. */
enum { USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER, TAGS };
static const int tags[TAGS] = {ARCHIVE_ENTRY_ACL_USER_OBJ,  ARCHIVE_ENTRY_ACL_USER,
                               ARCHIVE_ENTRY_ACL_GROUP_OBJ, ARCHIVE_ENTRY_ACL_GROUP,
                               ARCHIVE_ENTRY_ACL_MASK,      ARCHIVE_ENTRY_ACL_OTHER};

struct rule {
    unsigned tag; /* index in tags; TAGS: none that is known */
    unsigned permissions;
    uint32_t id; /* of a user or group, NO_ID for the others */
};

static unsigned tag_of(int archive_tag)
{
    unsigned i = 0;

    while (i < TAGS && tags[i] != archive_tag)
        i++;
    return i;
}

static bool has_id(unsigned tag)
{
    return tag == USER || tag == GROUP;
}

static int compare_rules(const void *a, const void *b)
{
    const struct rule *x = a;
    const struct rule *y = b;

    if (x->tag != y->tag)
        return x->tag < y->tag ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* As the kernel's posix_acl_valid: each of the three once, and a mask where there are names. */
static bool is_valid(const struct rule *rules, size_t n)
{
    size_t counts[TAGS + 1] = {0};

    for (size_t i = 0; i < n; i++)
        counts[rules[i].tag]++;
    return counts[USER_OBJ] == 1 && counts[GROUP_OBJ] == 1 && counts[OTHER] == 1 &&
           counts[TAGS] == 0 && counts[MASK] <= 1 &&
           (counts[USER] + counts[GROUP] == 0 || counts[MASK] == 1);
}

/* ---- from an archive ---- */

unsigned acl_mode(struct archive_entry *e)
{
    unsigned mode = (unsigned)archive_entry_perm(e) & 07777u;
    int type, permissions, tag, id;
    const char *who = NULL;

    if (archive_entry_acl_reset(e, ARCHIVE_ENTRY_ACL_TYPE_ACCESS) == 0)
        return mode;
    while (archive_entry_acl_next(e, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, &type, &permissions, &tag, &id,
                                  &who) == ARCHIVE_OK)
        if (tag == ARCHIVE_ENTRY_ACL_MASK)
            mode = (mode & ~070u) | ((unsigned)permissions & 7u) << 3;
    return mode;
}

static int take_rule(struct archive_entry *e, int wanted, const char *name, struct rule *ret,
                     bool *ret_end, struct error *err)
{
    int type, permissions, tag, id;
    const char *who = NULL;

    *ret_end =
        archive_entry_acl_next(e, wanted, &type, &permissions, &tag, &id, &who) != ARCHIVE_OK;
    if (*ret_end)
        return 0;
    *ret =
        (struct rule){.tag = tag_of(tag), .permissions = (unsigned)permissions & 7u, .id = NO_ID};
    if (!has_id(ret->tag))
        return 0;
    if (id < 0)
        return entry_refuse(err, ERR_INPUT, name,
                            "its ACL names %s without a number that can be kept, and nobody here "
                            "knows who that is; "
                            "make the archive with numbers (tar --numeric-owner)",
                            text_show(who ? who : "").text);
    ret->id = (uint32_t)id;
    return 0;
}

static int take_rules(struct archive_entry *e, int type, const char *name, struct rule *rules,
                      size_t max, size_t *ret_n, struct error *err)
{
    bool end = false;

    for (*ret_n = 0; *ret_n < max; ++*ret_n) {
        if (take_rule(e, type, name, &rules[*ret_n], &end, err) < 0)
            return -1;
        if (end)
            break;
    }
    qsort(rules, *ret_n, sizeof(*rules), compare_rules);
    return is_valid(rules, *ret_n)
               ? 0
               : entry_refuse(err, ERR_INPUT, name,
                              "its ACL is not complete; make the archive again, or without ACLs");
}

static void put_rules(const struct rule *rules, size_t n, struct buf *out)
{
    bytes_add32(out, VERSION);
    for (size_t i = 0; i < n; i++) {
        bytes_add32(out, 1u << rules[i].tag | rules[i].permissions << 16);
        bytes_add32(out, rules[i].id);
    }
}

int acl_from_entry(struct archive_entry *e, int type, const char *name, struct buf *ret,
                   struct error *err)
{
    CLEANUP_FREE struct rule *rules = NULL;
    int count;
    size_t n = 0;

    if (archive_entry_acl_types(e) & ARCHIVE_ENTRY_ACL_TYPE_NFS4)
        return entry_refuse(err, ERR_INPUT, name,
                            "it has an NFSv4 ACL, which ext4 cannot hold; make the archive without "
                            "ACLs");
    count = archive_entry_acl_reset(e, type);
    if (count <= 0)
        return 0;
    rules = calloc((size_t)count, sizeof(*rules));
    if (!rules)
        return error_set(err, ERR_SYSTEM, "read an ACL: out of memory");
    if (take_rules(e, type, name, rules, (size_t)count, &n, err) < 0)
        return -1;
    put_rules(rules, n, ret);
    return buf_check(ret, "an ACL", err);
}

/* ---- to an archive ---- */

bool acl_to_entry(struct archive_entry *e, int type, const void *value, size_t len)
{
    const unsigned char *p = value;

    if (len < HEAD_SIZE || (len - HEAD_SIZE) % ENTRY_SIZE != 0 || bytes_get32(p) != VERSION)
        return false;
    for (size_t at = HEAD_SIZE; at < len; at += ENTRY_SIZE) {
        const uint32_t head = bytes_get32(p + at);
        const unsigned bit = head & 0xffffu;
        unsigned tag = 0;

        while (tag < TAGS && 1u << tag != bit)
            tag++;
        if (tag == TAGS || archive_entry_acl_add_entry(
                               e, type, (int)(head >> 16 & 7u), tags[tag],
                               has_id(tag) ? (int)bytes_get32(p + at + 4) : -1, NULL) != ARCHIVE_OK)
            return false;
    }
    return true;
}
