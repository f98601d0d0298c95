/* worker/schema — see the header.  Times are nanoseconds since 1970, 0 for "not yet". */
#include "worker/schema.h"

static const char version_1[] =
    "create table workspaces ("
    " name text primary key,"
    " created integer not null"
    ") strict, without rowid;"

    "create table keys ("
    " id text primary key,"
    " workspace text not null references workspaces,"
    " label text not null,"
    " hash text not null unique," /* SHA-256 of the key, hex */
    " created integer not null,"
    " revoked integer not null default 0"
    ") strict, without rowid;"

    "create table secrets ("
    " name text primary key,"
    " value blob not null"
    ") strict, without rowid;"

    "create table builds ("
    " id text primary key,"
    " workspace text not null references workspaces,"
    " type text not null,"
    " name text not null,"
    " purpose integer not null,"
    " phase integer not null,"
    " tag text not null,"
    " archive text not null default '',"
    " archive_size integer not null default 0,"
    " attempts integer not null default 0,"
    " step text not null default '',"
    " fault text not null default '',"
    " message text not null default '',"
    " digest text not null default '',"
    " image_size integer not null default 0,"
    " created integer not null,"
    " upload_expires integer not null,"
    " uploaded integer not null default 0,"
    " started integer not null default 0,"
    " finished integer not null default 0,"
    " last_line integer not null default 0,"
    " building_seen integer not null default 0,"
    " log_read integer not null default 0,"
    " worker text not null default '',"
    " lease_until integer not null default 0,"
    " not_before integer not null default 0," /* of the next try */
    " cancel text not null default ''"        /* why a RUNNING build should stop */
    ") strict;"
    "create index builds_by_target on builds (workspace, type, name, created);"
    "create index builds_queued on builds (uploaded) where phase = 1;"
    "create index builds_running on builds (workspace, type, name) where phase = 2;"
    "create index builds_uploading on builds (upload_expires) where phase = 0;"
    "create index builds_by_archive on builds (archive) where archive <> '';"

    "create table log_lines ("
    " build text not null references builds on delete cascade,"
    " seq integer not null,"
    " time integer not null,"
    " severity integer not null,"
    " text text not null,"
    " primary key (build, seq)"
    ") strict, without rowid;"

    "create table events ("
    " id integer primary key,"
    " workspace text not null,"
    " type text not null,"
    " name text not null,"
    " time integer not null,"
    " kind text not null,"
    " status text not null,"
    " message text not null,"
    " revision text not null,"
    " build text not null,"
    " of_resource integer not null,"
    " final integer not null"
    ") strict;"
    "create index events_by_target on events (workspace, type, name, id);"

    "create table resources ("
    " workspace text not null references workspaces,"
    " type text not null,"
    " name text not null,"
    " metadata text not null,"
    " spec text not null,"
    " build text not null default '',"
    " image text not null default '',"
    " created integer not null,"
    " updated integer not null,"
    " primary key (workspace, type, name)"
    ") strict, without rowid;"

    "create table images ("
    " workspace text not null references workspaces,"
    " type text not null,"
    " name text not null,"
    " created integer not null,"
    " updated integer not null,"
    " deployed integer not null default 0,"
    " size integer not null default 0,"
    " primary key (workspace, type, name)"
    ") strict, without rowid;"

    "create table image_tags ("
    " workspace text not null,"
    " type text not null,"
    " name text not null,"
    " tag text not null,"
    " digest text not null,"
    " size integer not null,"
    " created integer not null,"
    " updated integer not null,"
    " primary key (workspace, type, name, tag),"
    " foreign key (workspace, type, name) references images on delete cascade"
    ") strict, without rowid;";

/* What a build was built with: the Dockerfile's text, as the user wrote it or as it was made for
 * them, and a digest of everything that decides the image. */
static const char version_2[] =
    "alter table builds add column dockerfile text not null default '';"
    "alter table builds add column inputs text not null default '';"
    "create index builds_by_inputs on builds (workspace, type, name, inputs) where inputs <> '';";

/* Where the files of a build come from that nobody uploads: "https://host/repo.git#ref:subdir". */
static const char version_3[] = "alter table builds add column source text not null default '';";

/* Accounts own workspaces.  A key is of a workspace, or of its whole account (workspace null); it
 * is one that opens the API, a service account's client secret, or an access token got with that
 * (parent). */
static const char version_accounts[] =
    "create table accounts ("
    " name text primary key,"
    " created integer not null"
    ") strict, without rowid;"
    "insert into accounts select 'default', ifnull(min(created), 0) from workspaces;"

    "alter table workspaces add column account text not null default 'default';"
    "alter table workspaces add column deleted integer not null default 0;"

    "create table keys_of_accounts ("
    " id text primary key,"
    " account text not null references accounts,"
    " workspace text references workspaces,"
    " kind integer not null,"
    " role integer not null,"
    " parent text not null default '',"
    " label text not null,"
    " hash text not null unique,"
    " created integer not null,"
    " expires integer not null default 0," /* 0: never */
    " revoked integer not null default 0"
    ") strict, without rowid;"
    /* What a key could do it still can: it was the only kind. */
    "insert into keys_of_accounts (id, account, workspace, kind, role, label, hash, created, "
    "revoked)"
    " select id, 'default', workspace, 0, 1, label, hash, created, revoked from keys;"
    "drop table keys;"
    "alter table keys_of_accounts rename to keys;"
    "create index keys_by_parent on keys (parent) where parent <> '';"
    "create index keys_expiring on keys (expires) where expires <> 0;";

/* Images that a workspace lets another of its account see and pull: whole, with all tags to come.
 */
static const char version_shares[] =
    "create table image_shares ("
    " workspace text not null,"
    " type text not null,"
    " name text not null,"
    " target text not null references workspaces,"
    " created integer not null,"
    " primary key (workspace, type, name, target),"
    " foreign key (workspace, type, name) references images on delete restrict"
    ") strict, without rowid;"
    "create index image_shares_by_target on image_shares (target, type, name);";

/* What is said of the image that a build made, and where in the registry layers are known to be. */
static const char version_attestations[] =
    "create table attestations ("
    " build text not null references builds on delete cascade,"
    " kind text not null," /* "provenance", "sbom" */
    " text text not null,"
    " primary key (build, kind)"
    ") strict, without rowid;"

    "create table layers ("
    " workspace text not null,"
    " digest text not null,"
    " type text not null,"
    " name text not null,"
    " primary key (workspace, digest)"
    ") strict, without rowid;"
    "create index layers_by_image on layers (workspace, type, name);";

/* What a line of a log is about (struct log_event). */
static const char version_log_events[] =
    "alter table log_lines add column step integer not null default 0;"
    "alter table log_lines add column state integer not null default 0;"
    "alter table log_lines add column stream integer not null default 0;"
    "alter table log_lines add column skip integer not null default 0;"
    "alter table log_lines add column began integer not null default 0;"
    "alter table log_lines add column bytes integer not null default 0;"
    "alter table log_lines add column code integer not null default 0;";

/* Whether every step is to be run, whatever earlier builds left. */
static const char version_no_cache[] =
    "alter table builds add column no_cache integer not null default 0;";

/* What a workspace may take; null: as much as the server lets any. */
static const char version_limits[] = "alter table workspaces add column builds_max integer;"
                                     "alter table workspaces add column images_max integer;"
                                     "alter table workspaces add column templates_max integer;";

/* When the lines of a build's log were removed, all of them: they were too old. */
static const char version_log_retention[] =
    "alter table builds add column log_removed integer not null default 0;"
    "create index builds_with_log on builds (finished) where log_removed = 0 and finished <> 0;";

/* What resources were, write by write.  id: a name of its own, or "" for that of its build, or
 * else for its number. */
static const char version_revisions[] =
    "create table revisions ("
    " workspace text not null,"
    " type text not null,"
    " name text not null,"
    " number integer not null," /* from 1 */
    " id text not null,"
    " build text not null," /* that the resource had then; "" for none */
    " created integer not null,"
    " created_by text not null,"
    " primary key (workspace, type, name, number)"
    ") strict, without rowid;"
    "insert into revisions"
    " select r.workspace, r.type, r.name, 1, ifnull(b.tag, ''), r.build, r.updated, ''"
    " from resources r left join builds b on b.id = r.build;";

/* When the deploy step began, and when a client was told so; and what the cluster is to be told:
 * messages wait here until their URL has acknowledged them. */
static const char version_deployments[] =
    "alter table builds add column deploying integer not null default 0;"
    "alter table builds add column deploying_seen integer not null default 0;"

    "create table webhook_messages ("
    " id text not null,"
    " url text not null,"
    " build text not null,"
    " type text not null," /* "deployment.succeeded" */
    " body text not null," /* JSON */
    " created integer not null,"
    " attempts integer not null default 0,"
    " next_try integer not null,"
    " tried integer not null default 0,"
    " answer text not null default ''," /* of the last try */
    " delivered integer not null default 0,"
    " worker text not null default ''," /* who is sending it, */
    " lease_until integer not null default 0,"
    " primary key (id, url)"
    ") strict, without rowid;"
    "create index webhook_messages_waiting on webhook_messages (url, next_try)"
    " where delivered = 0;"
    "create index webhook_messages_created on webhook_messages (created);";

/* The builds of a workspace, newest first.  4: BUILD_TO_COLLECT. */
static const char version_build_list[] =
    "create index builds_by_workspace on builds (workspace, created, id) where purpose <> 4;";

/* Images that a workspace offers one of another account, until that accepts or declines. */
static const char version_pending_shares[] =
    "create table pending_shares ("
    " id text primary key,"
    " workspace text not null,"
    " type text not null,"
    " name text not null,"
    " target text not null references workspaces,"
    " shared_by text not null,"
    " created integer not null,"
    " expires integer not null,"
    " unique (workspace, type, name, target),"
    " foreign key (workspace, type, name) references images on delete cascade"
    ") strict, without rowid;"
    "create index pending_shares_by_target on pending_shares (target, created);";

/* What clients say of a resource beside metadata and spec: a JSON object; "" for nothing. */
static const char version_others[] =
    "alter table resources add column others text not null default '';";

/* Whose turn it is (state_claim.c).  rowid: of builds of one moment the one that was made first is
 * first; SQLite has it in every index. */
static const char version_turns[] =
    "create table turns ("
    " workspace text not null,"
    " lane integer not null,"
    " served integer not null," /* the higher, the later */
    " primary key (workspace, lane)"
    ") strict, without rowid;"
    "create index turns_by_age on turns (served, workspace, lane);"
    "create index builds_waiting on builds (workspace,"
    " (case when purpose > 2 then 1 else 0 end), not_before, uploaded/*postgres , rowid*/)"
    " where phase = 1;"
    "create index builds_pausing on builds (not_before) where phase = 1 and not_before > 0;"
    "insert into turns select workspace, case when purpose > 2 then 1 else 0 end, 0 from builds"
    " where phase = 1 group by 1, 2;";

/* When which garbage was collected; and the way to old events. */
static const char version_gc[] = "create table gc_runs ("
                                 " task text primary key,"
                                 " holder text not null,"
                                 " began integer not null,"
                                 " ended integer not null,"
                                 " lease_until integer not null,"
                                 " items integer not null default 0,"
                                 " bytes integer not null default 0,"
                                 " message text not null default ''"
                                 ") strict, without rowid;"
                                 "create index events_by_time on events (time);";

/* Who did what; no references, as entries outlive what they are about. */
static const char version_audit[] =
    "create table audit ("
    " id text primary key,"
    " time integer not null,"
    " account text not null,"   /* "": of none */
    " workspace text not null," /* "": of none */
    " actor_kind integer not null,"
    " actor text not null,"
    " address text not null,"
    " action text not null,"
    " object text not null,"
    " outcome integer not null,"
    " status integer not null"
    ") strict, without rowid;"
    "create index audit_by_time on audit (time, id);"
    "create index audit_by_workspace on audit (workspace, time, id);";

#ifdef SCHEMA_NEXT /* as a later version would have it, for a test of upgrades */
static const char version_next[] = "create table next (n integer not null) strict;";
#endif

const char *const schema_migrations[] = {
    version_1,          version_2,
    version_3,          version_accounts,
    version_shares,     version_attestations,
    version_log_events, version_no_cache,
    version_limits,     version_log_retention,
    version_revisions,  version_deployments,
    version_build_list, version_pending_shares,
    version_others,     version_turns,
    version_gc,         version_audit,
#ifdef SCHEMA_NEXT
    version_next,
#endif
};
const int schema_version = sizeof(schema_migrations) / sizeof(schema_migrations[0]);
