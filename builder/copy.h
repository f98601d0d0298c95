/* builder/copy — what COPY and ADD put into a tree (BuildKit's solver/llbsolver/file and
 * tonistiigi/fsutil/copy), and the digest of all that decides it.
 *
 * The tree that is copied into is not written to: what is new goes to a directory of its own, the
 * step's diff, as a layer over the view of what was there before.  So the files of a context can be
 * hard links, and the diff is the layer, without a mount and without a search for changes.
 *
 * Every path that a user had a word in is resolved below a root (openat2, RESOLVE_IN_ROOT): links
 * in a source's directories lead nowhere else, and neither do those in the destination's. */
#ifndef BUILDER_COPY_H
#define BUILDER_COPY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/argv.h"
#include "base/digest.h"
#include "builder/program.h"

struct copy_file { /* a heredoc */
    const char *name;
    const char *content;
    size_t len;
};

/* Who is told of each file, link and directory below a source: its path below `from`, and a mark
 * that is another when what copy_digest takes of it is (but for an accident). */
struct copy_told {
    void (*file)(void *self, const char *path, uint64_t mark);
    void *self;
};

struct copy_request {           /* all borrowed */
    int from;                   /* root of the context, or of a stage's or image's tree; -1: none */
    const struct argv *sources; /* as written: cleaned, relative to from; wildcards of Go's
                                   filepath.Match, with ** where BuildKit has it (--parents) */
    const struct copy_file *files; /* mode 0644, named like the delimiter */
    size_t n_files;
    int view;         /* root of the tree as it was before; -1: nothing was (scratch, --link) */
    int to;           /* the diff: a directory, maybe not empty, but made by these functions alone:
                         there is no whiteout in it */
    const char *dest; /* absolute; a slash at its end means a directory */
    uint32_t uid, gid;
    bool keep_owner;   /* COPY --from without --chown: uid and gid are the files' own */
    bool chowned;      /* --chown was given, maybe of 0:0: also what an archive of ADD holds belongs
                          to uid and gid, and not to whom the archive says */
    const char *chmod; /* "": none; octal or symbolic (BuildKit: mode.ParseWithUmask) */
    const struct argv *exclude;              /* of --exclude; NULL: none */
    const struct builder_patterns *patterns; /* needed with exclude */
    bool parents;                            /* --parents, with its "/./" pivot */
    bool add;      /* ADD: local archives (tar, also gzip, bzip2, xz, zstd)
                      are unpacked, unless --unpack=false */
    bool may_link; /* from will not change any more and is on the diff's filesystem: unchanged files
                      may be hard links */
    int64_t epoch; /* seconds: no time of a file is later (SOURCE_DATE_EPOCH); -1: none */
    const struct copy_told *told; /* by copy_digest; NULL: nobody */
};

struct copy_result {
    uint64_t files, bytes; /* regular files written, and their content */
};

/* What the copy reads, as a digest: names relative to what was matched, kinds, permission bits,
 * owners where they are kept, contents, link targets, attributes, and the matched sources in order;
 * and the options above that change what is made of them, but neither dest nor view.  Equal digests
 * mean an equal copy to an equal place, times aside.  Each matched source's path is added to
 * ret_matched (NULL: not wanted).  Errors as for copy_into. */
MUST_CHECK int copy_digest(const struct copy_request *req, unsigned char ret[SHA256_SIZE],
                           struct argv *ret_matched, struct error *err);

/* Copies, as BuildKit does:
 *
 * A directory's content goes into dest, a file too if that is a directory, ends with a slash, or if
 * there is more than one file or directory to copy (BuildKit writes one over the other then). Links
 * on the way to a source and to dest are followed, also the last ones; those in a directory are
 * copied, and in dest replaced.  Directories that are made on the way are 0755, uid's and gid's;
 * those below dest become as in the source, also where they are there; dest gets the source's time.
 * A file that has several names in one source keeps them.  Attributes that are kept: user.* and
 * security.capability.  Sockets are left out.
 *
 * ERR_INPUT, in BuildKit's words where it has some: a source that is not there ("\"/x\": not
 * found"; a wildcard that matches nothing is fine), a file where a directory must be or the other
 * way round, too many links, a device that cannot be made, a broken archive.  ERR_LIMIT: too deep,
 * too many. */
MUST_CHECK int copy_into(const struct copy_request *req, struct copy_result *ret,
                         struct error *err);

/* WORKDIR, and the directories above a mount's target: makes path (absolute) and its missing
 * parents in the diff `to` over `view`, mode 0755, with that owner.  *ret_made false: all was there
 * already. */
MUST_CHECK int copy_make_directory(int view, int to, const char *path, uint32_t uid, uint32_t gid,
                                   int64_t epoch, bool *ret_made, struct error *err);

#endif
