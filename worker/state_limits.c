/* worker/state_limits — what a workspace may take, and what its images do. */
#include "worker/state_internal.h"

int state_limits_get(struct state *s, const char *workspace, struct workspace_limits *ret,
                     struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    bool row;

    if (tx_begin(&tx, s->db, TX_READ, err) < 0)
        return -1;
    QUERY(q, s->db,
          "select ifnull(builds_max, ?2), ifnull(images_max, ?3), ifnull(templates_max, ?4)"
          " from workspaces where name = ?1");
    query_text(&q, workspace);
    query_int(&q, s->limits.builds);
    query_int(&q, s->limits.images);
    query_int(&q, s->limits.templates);
    if (query_next(&q, &row, err) < 0)
        return -1;
    *ret = s->limits;
    if (row)
        *ret = (struct workspace_limits){query_get_int(&q, 0), query_get_int(&q, 1),
                                         query_get_int(&q, 2)};
    return 0;
}

int state_limits_set(struct state *s, const char *workspace, const struct workspace_limits *own,
                     enum presence *ret_presence, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    int64_t changed;

    if (tx_begin(&tx, s->db, TX_WRITE, err) < 0)
        return -1;
    QUERY(q, s->db,
          "update workspaces set"
          " builds_max = case ?2 when -1 then builds_max when -2 then null else ?2 end,"
          " images_max = case ?3 when -1 then images_max when -2 then null else ?3 end,"
          " templates_max = case ?4 when -1 then templates_max when -2 then null else ?4 end"
          " where name = ?1 and deleted = 0");
    query_text(&q, workspace);
    query_int(&q, own->builds);
    query_int(&q, own->images);
    query_int(&q, own->templates);
    if (query_run(&q, &changed, err) < 0 || tx_commit(&tx, err) < 0)
        return -1;
    *ret_presence = changed ? PRESENT : ABSENT;
    return 0;
}

/* The one number that sql selects of the workspace. */
static int measure(struct state *s, const char *sql, const char *workspace, uint64_t *ret,
                   struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    bool row;

    if (tx_begin(&tx, s->db, TX_READ, err) < 0)
        return -1;
    QUERY(q, s->db, sql);
    query_text(&q, workspace);
    if (query_next(&q, &row, err) < 0)
        return -1;
    *ret = (uint64_t)query_get_int(&q, 0);
    return 0;
}

int state_images_size(struct state *s, const char *workspace, uint64_t *ret, struct error *err)
{
    return measure(s,
                   "select ifnull(sum(size), 0) from (select max(size) as size from image_tags"
                   " where workspace = ? group by type, name, digest) images",
                   workspace, ret, err);
}

int state_builds_running(struct state *s, const char *workspace, uint64_t *ret, struct error *err)
{
    return measure(s,
                   "select count(*) from builds where workspace = ? and phase = 2 and purpose <= 2",
                   workspace, ret, err);
}
