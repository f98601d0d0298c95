/* templates/address — what a chunk is called: XXH3-128 of its bytes under the store's secret.
 *
 * Unkeyed XXH3 collides to order; under 192 random bytes that nobody else knows it does not.  Two
 * chunks that collide all the same are told apart by probing: the second gets the next address that
 * is free.  So a chunk is valid under its hash and under the PROBES_MAX addresses after it. */
#ifndef TEMPLATES_ADDRESS_H
#define TEMPLATES_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SECRET_SIZE  192
#define ADDRESS_SIZE 16 /* on disk: low, then high, both little-endian */
#define PROBES_MAX   65536

struct address {
    uint64_t low, high;
};

struct hasher {
    unsigned char secret[SECRET_SIZE];
    unsigned bits; /* of the hash that are used: 128, fewer in tests */
};

struct address hasher_address(const struct hasher *h, const void *data, size_t len);
/* 64 bits under the same secret: for frames and tables. */
uint64_t hasher_checksum(const struct hasher *h, const void *data, size_t len);

struct address address_next(struct address a);
bool address_equal(struct address a, struct address b);
/* <0, 0, >0: the order of tables (high first). */
int address_compare(struct address a, struct address b);

/* Whether these bytes may stand under the address. */
bool hasher_verify(const struct hasher *h, struct address a, const void *data, size_t len);

struct address address_get(const void *bytes);
void address_put(void *bytes, struct address a);

#endif
