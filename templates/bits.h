/* templates/bits — a bit for each block, read without a lock while somebody sets more of them. */
#ifndef TEMPLATES_BITS_H
#define TEMPLATES_BITS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

struct bits {
    _Atomic uint64_t *words; /* all zero at first; memory that is never touched costs none */
    uint64_t n;              /* bits */
};

static inline uint64_t bits_words(uint64_t n)
{
    return (n + 63) / 64;
}

static inline bool bits_init(struct bits *b, uint64_t n)
{
    b->n = n;
    b->words = calloc(bits_words(n) + 1, sizeof(*b->words));
    return b->words != NULL;
}

static inline void bits_release(struct bits *b)
{
    free((void *)b->words);
    b->words = NULL;
}

/* What was stored before a bit was set is seen by who reads it as set. */
static inline bool bits_get(const struct bits *b, uint64_t i)
{
    return atomic_load_explicit(&b->words[i / 64], memory_order_acquire) >> (i % 64) & 1;
}

static inline void bits_set(struct bits *b, uint64_t from, uint64_t count)
{
    while (count > 0) {
        uint64_t n = 64 - from % 64 < count ? 64 - from % 64 : count;
        uint64_t mask = (n == 64 ? ~UINT64_C(0) : (UINT64_C(1) << n) - 1) << (from % 64);

        (void)atomic_fetch_or_explicit(&b->words[from / 64], mask, memory_order_release);
        from += n;
        count -= n;
    }
}

/* How many bits from there on, and before end, are like the first. */
static inline uint64_t bits_run(const struct bits *b, uint64_t from, uint64_t end)
{
    const bool first = bits_get(b, from);
    const uint64_t same = first ? ~UINT64_C(0) : 0;
    uint64_t i = from;

    while (i < end) {
        if (i % 64 == 0 && end - i >= 64 &&
            atomic_load_explicit(&b->words[i / 64], memory_order_acquire) == same)
            i += 64;
        else if (bits_get(b, i) == first)
            i++;
        else
            break;
    }
    return i - from;
}

#endif
