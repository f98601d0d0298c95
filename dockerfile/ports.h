/* dockerfile/ports — EXPOSE's "[ip:][host:]port[-port][/protocol]", and sets of ports. */
#ifndef DOCKERFILE_PORTS_H
#define DOCKERFILE_PORTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum protocol { PROTOCOL_TCP, PROTOCOL_UDP, PROTOCOL_SCTP, PROTOCOLS };
extern const char *const protocol_names[PROTOCOLS];

struct port_range {
    unsigned first, last;
    enum protocol protocol;
    bool odd_case;   /* the protocol is not written in lower case */
    bool has_prefix; /* an address or a port of the host is given */
    bool whole;      /* false: it failed before the prefix and the protocol were known */
};

/* ERR_INPUT in BuildKit's words; *ret is then good as far as it says itself. */
MUST_CHECK int port_parse(const char *text, struct port_range *ret, struct error *err);

/* A bit for each of them: there may be all 65536 of each protocol. */
struct ports {
    uint64_t words[PROTOCOLS][1024];
};
void ports_add(struct ports *p, const struct port_range *range);

/* The first port that is in the set, from the given one on; PORTS_END when there is none. */
#define PORTS_END 65536U
unsigned ports_next(const struct ports *p, enum protocol protocol, unsigned from);

#endif
