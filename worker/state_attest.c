/* worker/state_attest — what is said of images, kept with the builds that made them; and which
 * repositories of a workspace have which layers. */
#include "worker/state_internal.h"

static const char *const kinds[] = {
    [ATTESTATION_PROVENANCE] = "provenance", [ATTESTATION_SBOM] = "sbom"};

static int keep_attestation(struct state *s, const char *build, enum attestation kind,
                            const char *text, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};

    if (tx_begin(&tx, s->db, TX_ROW, err) < 0)
        return -1;
    QUERY(q, s->db,
          "insert into attestations values (?, ?, ?)"
          " on conflict (build, kind) do update set text = excluded.text");
    query_text(&q, build);
    query_text(&q, kinds[kind]);
    query_text(&q, text);
    if (query_run(&q, NULL, err) < 0)
        return -1;
    return tx_commit(&tx, err);
}

int state_attestation_keep(struct state *s, const char *build, enum attestation kind,
                           const char *text, struct error *err)
{
    return DB_RETRY(s->db, err, keep_attestation(s, build, kind, text, err));
}

int state_attestation_get(struct state *s, const struct target *t, const char *tag,
                          enum attestation kind, enum presence *ret_presence, struct buf *out,
                          struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};
    bool row;

    if (tx_begin(&tx, s->db, TX_READ, err) < 0)
        return -1;
    QUERY(q, s->db,
          "select a.text from builds b join attestations a on a.build = b.id"
          " where b.workspace = ?1 and b.type = ?2 and b.name = ?3 and a.kind = ?5"
          " and b.digest = (select digest from image_tags where workspace = ?1 and type = ?2"
          " and name = ?3 and tag = ?4) order by b.created desc limit 1");
    bind_target(&q, t);
    query_text(&q, tag);
    query_text(&q, kinds[kind]);
    if (query_next(&q, &row, err) < 0)
        return -1;
    if (row)
        buf_adds(out, query_get_text(&q, 0));
    *ret_presence = row ? PRESENT : ABSENT;
    return buf_check(out, "what is said of the image", err);
}

/* ---- layers ---- */

static int keep_layers(struct state *s, const struct target *t, const struct argv *digests,
                       struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};

    if (tx_begin_in(&tx, s->db, TX_NOTE, t->workspace, err) < 0)
        return -1;
    QUERY(q, s->db,
          "insert into layers (workspace, type, name, digest) values (?, ?, ?, ?)"
          " on conflict (workspace, digest) do update set type = excluded.type,"
          " name = excluded.name");
    for (size_t i = 0; i < digests->n; i++) {
        query_reset(&q);
        bind_target(&q, t);
        query_text(&q, digests->v[i]);
        if (query_run(&q, NULL, err) < 0)
            return -1;
    }
    return tx_commit(&tx, err);
}

int state_layers_keep(struct state *s, const struct target *t, const struct argv *digests,
                      struct error *err)
{
    return DB_RETRY(s->db, err, keep_layers(s, t, digests, err));
}

int state_layers_find(struct state *s, const char *workspace, const struct argv *digests,
                      struct argv *ret, struct error *err)
{
    CLEANUP(tx_end) struct tx tx = {0};

    if (tx_begin(&tx, s->db, TX_READ, err) < 0)
        return -1;
    QUERY(q, s->db, "select type, name from layers where workspace = ? and digest = ?");
    for (size_t i = 0; i < digests->n; i++) {
        bool row;

        query_reset(&q);
        query_text(&q, workspace);
        query_text(&q, digests->v[i]);
        if (query_next(&q, &row, err) < 0)
            return -1;
        if (row)
            argv_pushf(ret, "%s/%s/%s", workspace, query_get_text(&q, 0), query_get_text(&q, 1));
        else
            argv_push1(ret, "");
    }
    return ret->failed ? error_set(err, ERR_SYSTEM, "look for layers: out of memory") : 0;
}
