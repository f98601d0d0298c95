/* api/route — the table of everything that is answered. */
#ifndef API_ROUTE_H
#define API_ROUTE_H

#include "api/call.h"

struct route {
    const char *method;
    const char *pattern; /* {kind} stands for a plural of kind.c, other {words} for anything */
    api_handler *handler;
    bool open;       /* no API key is asked for */
    bool admin;      /* of an admin's key only */
    bool account;    /* an account's key need not say for which of its workspaces */
    bool streams;    /* the body may be larger than memory: receive.h takes it */
    size_t body_max; /* bytes that may come from who has a key; 0: EXCHANGE_BODY_MAX */
    /* What the audit log calls it, without the kind; NULL: it changes nothing. */
    const char *action;
    const char *object; /* the member of the body that is part of what was changed; or NULL */
    const char *help;
};

extern const struct route api_routes[];
extern const size_t api_routes_count;

/* Finds c->route for c->req, and sets c->kind and c->args.  NULL, 404 or 405 in resp, if none. */
const struct route *api_route_find(struct api_call *c);

#endif
