/* base/cleanup — owning locals clean up at scope end; ownership leaves through TAKE. */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MUST_CHECK      __attribute__((warn_unused_result))
#define PRINTF(fmt, ap) __attribute__((format(printf, fmt, ap)))

/* CLEANUP(buf_release) struct buf b = ...;  calls buf_release(&b) when b leaves scope. */
#define CLEANUP(f) __attribute__((cleanup(f)))

/* For locals that are a pointer or a descriptor. */
#define CLEANUP_FREE  CLEANUP(cleanup_free)
#define CLEANUP_CLOSE CLEANUP(cleanup_close)
#define CLEANUP_FILE  CLEANUP(cleanup_fclose)

/* Yields the pointer and empties the local, so that its cleanup finds nothing. */
#define TAKE(p)                                                                                    \
    ({                                                                                             \
        __auto_type take_ = (p);                                                                   \
        (p) = NULL;                                                                                \
        take_;                                                                                     \
    })

/* The same for a descriptor. */
#define TAKE_FD(fd)                                                                                \
    ({                                                                                             \
        int take_ = (fd);                                                                          \
        (fd) = -1;                                                                                 \
        take_;                                                                                     \
    })

static inline void cleanup_free(void *p)
{
    free(*(void **)p);
}

static inline void cleanup_close(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static inline void cleanup_fclose(FILE **f)
{
    if (*f)
        (void)fclose(*f);
}

#endif
