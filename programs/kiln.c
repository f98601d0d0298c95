/* kiln — finds the subcommand, reads the configuration, and runs it, or becomes the program that
 * can. */
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "programs/beside.h"
#include "programs/commands.h"

static const struct command {
    const char *name;
    int (*run)(const struct config *config, int argc, char **argv);
    const char *summary;
    const char *help;
} commands[] = {
    {"serve", command_serve, "run the service: API, uploads, workers and a registry",
     "usage: kiln serve [OPTION]...\n\n"
     "Runs everything in one process: the control API with its upload endpoint, workers that "
     "build,\n"
     "and a docker-registry on loopback that holds the images (or one of yours: --registry-url).\n"
     "State is kept in the data directory; the first start prints an API key.  SIGTERM lets\n"
     "running builds end for 5 s and hands the others back to the queue.\n\n"
     "  kiln serve --data-dir ./data --listen 127.0.0.1:8080\n"
     "  BL_API_URL=http://127.0.0.1:8080/v0 BL_WORKSPACE=default BL_API_KEY=bl_... bl push\n"},
    {"worker", command_worker, "run workers alone, on the data directory of a kiln serve",
     "usage: kiln worker [OPTION]...\n\n"
     "Takes builds from the queue of the same data directory: more builds at once, or builds in a\n"
     "process that may be stopped and started without stopping the API (kiln serve --workers "
     "0).\n"},
    {"build", command_build,
     "build an archive, a directory or a repository here, without a service",
     "usage: kiln build ARCHIVE|DIR|URL [--type sandbox|agent|function|job] [--name NAME]\n"
     "                  [--log plain|json] [--sbom FILE] [--provenance FILE] [--no-slim]\n"
     "                  [--no-cache] [OPTION]...\n\n"
     "The service's pipeline on one archive: unpacks it, reads its Dockerfile, adds sandbox-api "
     "to\n"
     "a sandbox that lacks it, builds, pushes, and reads the image back.  Shows the log as it\n"
     "grows; ends with the image's reference, digest, size, and how to run it.  Without --type "
     "and\n"
     "--name, those of its blaxel.toml count, else sandbox and the directory's or file's name.\n"
     "--no-cache runs every step, whatever earlier builds left; later builds find what it "
     "makes.\n\n"
     "Caches and lists of package managers (apt, npm, pip and more) are left out of the image, "
     "and\n"
     "the log says what that was.  --no-slim, or slim = false below [build] in blaxel.toml, keeps\n"
     "everything as the Dockerfile makes it.\n\n"
     "Of a directory, all is built from but .git, and but what a .blaxelignore in it names: one\n"
     "pattern a line, as in .dockerignore, but a plain name means that name in every directory.\n"
     "The Dockerfile's own .dockerignore applies besides.\n\n"
     "A URL is that of a public git repository, https://host/repo.git#ref:subdir: ref is a "
     "branch,\n"
     "tag or commit (without one: what HEAD is), subdir the folder to build.  Submodules come\n"
     "along, unless it says ?submodules=false; servers on this machine or in its private networks\n"
     "need --git-hosts.\n\n"
     "--log json prints what happens as JSON lines, one event each, and nothing else.  --sbom "
     "writes\n"
     "what packages are in the image (SPDX), --provenance how it was made (in-toto, SLSA); both "
     "are\n"
     "attached to the image in the registry, too, unless --attest off.\n\n"
     "  kiln build https://github.com/owner/repo.git#v1.2:services/api --type agent\n"
     "  kiln build examples/hello-sandbox.zip\n"
     "  kiln build ./my-agent --type agent --name my-agent\n"},
    {"check", command_check, "say what a build would say of a Dockerfile, without a build",
     "usage: kiln check [DIR|DOCKERFILE|ARCHIVE] [--json] [--type TYPE] [--build-arg K=V]... "
     "[OPTION]...\n\n"
     "Parses the Dockerfile and runs BuildKit's checks and those that foresee a failing build, "
     "with\n"
     "line, excerpt and reason.  Warnings are answered with exit code 0, errors with 1; # check= "
     "in the\n"
     "Dockerfile skips rules or makes errors of them.\n\n"
     "  kiln check            the project in this directory\n"
     "  kiln check docker/web.Dockerfile --json\n"},
    {"plan", command_plan, "show what a build of a project would be, and why",
     "usage: kiln plan [DIR|ARCHIVE] [--json] [--type TYPE] [--build-arg K=V]... [OPTION]...\n\n"
     "Shows the language that was detected and what decided it, the Dockerfile that would be "
     "used,\n"
     "its stages, the images they need, what is done about sandbox-api, and all warnings.  "
     "Nothing is\n"
     "built or fetched.\n\n"
     "  kiln plan ./my-agent --type agent\n"},
    {"generate", command_generate, "write the Dockerfile that would be used for a project",
     "usage: kiln generate [DIR] [--type TYPE] [--stdout] [--force] [OPTION]...\n\n"
     "For a project without a Dockerfile: writes the one that Kiln would build it with, and a\n"
     ".dockerignore where there is none, for you to take over.  Comments say which file and key\n"
     "decided each line.  Nothing is overwritten without --force.\n\n"
     "  kiln generate ./my-agent --type agent --stdout\n"},
    {"dockerfile", command_dockerfile, "answer questions about Dockerfiles, line by line",
     "usage: kiln dockerfile --batch parse|expand|ignore\n\n"
     "For comparing this front end with another: reads a JSON object from each line of standard\n"
     "input and writes one to each line of standard output.  parse reads and checks whole "
     "Dockerfiles,\n"
     "expand puts variables into words, ignore matches paths against a .dockerignore.\n"},
    {"template", command_template, "pack archives into volume templates, and look after them",
     "usage: kiln template pack NAME ARCHIVE|DIR [--directory SUB] [--default-size MB]\n"
     "       kiln template ls [NAME] | show REF | tree | diff REF REF\n"
     "       kiln template rm NAME|NAME:NUMBER | gc | verify [--images]\n"
     "       each also: [--json] [--quiet] [--workspace NAME] [OPTION]...\n\n"
     "A template's revision is a file system made of an archive (a ZIP or a tar) or a directory.\n"
     "What revisions have in common is stored once.  pack makes the next revision; REF is NAME,\n"
     "NAME:latest or NAME:NUMBER.  tree shows what is shared; rm takes revisions away, and gc "
     "then\n"
     "frees what nobody needs, also while others pack; verify reads everything, and with --images\n"
     "also compares the digest of every image.  The store is DATA/templates/WORKSPACE: with the "
     "data\n"
     "directory and a workspace of a kiln serve, that of what was deployed there.\n\n"
     "  kiln template pack deps node_modules.tar --default-size 2048\n"
     "  kiln template pack deps ./project --directory node_modules\n"
     "  kiln template diff deps:1 deps:latest\n"},
    {"volume", command_volume, "make volumes of a template, serve and export them",
     "usage: kiln volume create NAME --template REF [--size MB] [--out FILE]\n"
     "       kiln volume serve NAME [--template REF] [--size MB] [--socket PATH|--listen "
     "HOST:PORT]\n"
     "       kiln volume serve --template REF [--overlay FILE] [--socket PATH|--listen HOST:PORT]\n"
     "       kiln volume export NAME|--template REF|--overlay FILE --out FILE|- [--format "
     "raw|tar]\n"
     "       kiln volume rm NAME|--overlay FILE\n"
     "       each also: [--json] [--quiet] [--workspace NAME] [OPTION]...\n\n"
     "create writes an ext4 image to NAME.img, or to FILE: the template's content, grown to the "
     "size.\n"
     "Without a size it is the template's default; without that, as small as may be.\n\n"
     "serve is a network block device (nbdkit has to be installed) that is there at once: blocks "
     "are\n"
     "fetched and verified when they are first read, and what is written goes to an overlay file.  "
     "NAME\n"
     "is such a volume in DATA/volumes/WORKSPACE; the first time it is made of the template.  "
     "Without\n"
     "NAME and --overlay it cannot be written.  The socket is NAME.sock here, or PATH.  NBD knows "
     "no\n"
     "passwords: --listen only where everybody may write.\n\n"
     "export writes the image, or a tar of its files, of a volume that is not being served.\n\n"
     "With --data-dir and --workspace of a kiln serve, REF may be a template that was deployed "
     "there;\n"
     "with --templates s3://BUCKET one that is there: what is read of it is fetched and verified.\n"
     "Volumes that are made over its API are plain files, DATA/volumes/WORKSPACE/NAME.img.\n\n"
     "  kiln volume create v1 --template deps:latest --size 4096 --out /srv/v1.img\n"
     "  kiln volume serve v2 --template deps:latest\n"
     "  kiln volume export v2 --format tar --out - | tar -t\n"},
    {"rotate", command_rotate, "change keys and secrets while everything runs",
     "usage: kiln rotate\n"
     "       kiln rotate upload|registry|webhook [--now]\n"
     "       kiln rotate webhook --purge\n\n"
     "Makes another key or secret, which all that runs uses at once; the one before it is "
     "accepted\n"
     "for a while more, or with --now (it became known to somebody) no longer.\n\n"
     "  upload     signs upload URLs.  The old key: as long as a URL is good for (upload_expiry).\n"
     "  registry   signs the registry's tokens.  The old key: for 5 minutes, or build_timeout.  "
     "With\n"
     "             --now, what is pushed or pulled at that moment may have to be tried again.\n"
     "  webhook    prints a new secret; messages are signed with it, too.  The old ones go when "
     "you\n"
     "             say so, with --purge: the receiver has to know the new one first.\n\n"
     "Without a word it says what there is.  API keys: kiln key create, kiln key revoke.\n"},
    {"backup", command_backup,
     "keep a copy of all state: database, images, templates, volumes, keys",
     "usage: kiln backup DIR [--keep N] [--quiet] [OPTION]...\n"
     "       kiln backup ls DIR\n"
     "       kiln backup verify DIR [NAME]\n\n"
     "Adds a backup to DIR: the database as it is at one moment, and of the data directory all "
     "but\n"
     "caches: the keys, the images of Kiln's own registry, template stores, volumes, and the "
     "archives\n"
     "that builds wait for.  Services go on meanwhile.  Backups of a DIR share what is the same, "
     "so a\n"
     "second one takes what has changed.  It is there when the command ends with 0; one that is\n"
     "killed leaves none.  --keep N then removes all but the newest N.\n\n"
     "What lies in a bucket, in a registry of your own, or in files that the configuration names "
     "is\n"
     "not in it: it says so.  docs/operations.md has the steps.\n\n"
     "  kiln backup /backups/kiln --keep 14\n"
     "  kiln backup verify /backups/kiln\n"},
    {"restore", command_restore, "put a backup into an empty data directory and database",
     "usage: kiln restore DIR [--backup NAME] [--files-only] [--quiet] [OPTION]...\n\n"
     "Writes the newest backup of DIR, or that one, into the data directory, which must be empty, "
     "and\n"
     "into the configured database, which must be, too.  That may be another kind than the backup "
     "was\n"
     "made of: so a laptop's state moves to PostgreSQL.  Every byte is checked.  Builds that ran "
     "are\n"
     "queued again.  Killed, it is to be run again; until it has ended, nothing starts on that "
     "data\n"
     "directory.  --files-only leaves the database alone.\n\n"
     "  kiln restore /backups/kiln --data-dir /var/lib/kiln\n"},
    {"gc", command_gc, "collect garbage now, or say what there is and when it was collected",
     "usage: kiln gc [events|expired|logs|templates] [--dry-run] [OPTION]...\n"
     "       kiln gc --status\n\n"
     "Removes events older than event_retention, access tokens whose time is over, logs older "
     "than\n"
     "log_retention, and has workers free what no volume template needs.  kiln serve does so by "
     "itself\n"
     "every gc_interval; of several, one at a time.  --dry-run says how much it would be, and "
     "removes\n"
     "nothing; --status, when each was done, by whom, and what went.\n"},
    {"prune", command_prune, "make room: remove what builds left for later ones",
     "usage: kiln prune [--workspace NAME] [--keep SIZE] [--bases] [OPTION]...\n\n"
     "Removes cached steps and cache mounts of all workspaces, or of one: those that were not "
     "used\n"
     "for the longest time first, until SIZE is left in each; without --keep all of them.  "
     "--bases\n"
     "removes the base images, too.  Images that were pushed stay, and so does what workers left "
     "in\n"
     "the registry.  A workspace that a build runs in is left as it is.\n\n"
     "  kiln prune --keep 2GiB\n"},
    {"audit", command_audit, "show who did what",
     "usage: kiln audit [--workspace NAME] [--since TIME] [--json] [OPTION]...\n\n"
     "Lists, oldest first, every change that was made by the API or by kiln's own commands: when, "
     "by\n"
     "which key, service account or user of this machine, from which address, to what; and what "
     "was\n"
     "denied, wrong keys too.  TIME is a time ago (7d, 12h) or a moment (2026-01-31, or with\n"
     "T08:09:10Z).  --json prints an object a line.  A workspace's admins see theirs at GET "
     "/v0/audit.\n"
     "Entries are kept for audit_retention.\n\n"
     "  kiln audit --workspace acme --since 24h\n"},
    {"key", command_access, "make, list and revoke API keys",
     "usage: kiln key create --workspace NAME [--role admin|member] [--label TEXT] [--expires "
     "90d]\n"
     "       kiln key create --account NAME ...      opens every workspace of the account\n"
     "       kiln key create --client ...            a service account's id and secret\n"
     "       kiln key list [--account NAME] [--workspace NAME]\n"
     "       kiln key revoke ID\n\n"
     "create prints the new key, and nothing else, on standard output, and makes the workspace if\n"
     "it is not there.  Only a hash of the key is kept.  A member may do everything with images "
     "and\n"
     "resources; an admin (as a key is without --role) also makes keys and shares images.  A "
     "service\n"
     "account gets access tokens of two hours at POST /v0/oauth/token.  The key is the password "
     "of\n"
     "the registry, too: docker login, with any user name.\n"},
    {"workspace", command_access, "make, list, limit and delete workspaces",
     "usage: kiln workspace create NAME [--account NAME]\n"
     "       kiln workspace list [--account NAME]\n"
     "       kiln workspace set NAME [--max-builds N] [--max-images SIZE] [--max-templates SIZE]\n"
     "       kiln workspace delete NAME\n\n"
     "A workspace's images, resources and keys are its own.  Without --account it is made in the\n"
     "account \"default\".  Only an empty one can be deleted; its name is not given out again.\n\n"
     "list and set print what workspaces take now, and of how much where that is limited: builds\n"
     "that run, bytes of images, bytes of volume templates.  set gives a workspace limits of its\n"
     "own; \"default\" lets builds_max, images_max or templates_max hold again, and 0 is no limit\n"
     "at all.\n"},
    {"account", command_access, "make and list accounts",
     "usage: kiln account create NAME\n"
     "       kiln account list\n\n"
     "An account owns workspaces.  On a laptop there is no need for any but \"default\".\n"},
    {"registry", command_registry, "configure a registry of your own, or free room in Kiln's",
     "usage: kiln registry [certificate]\n"
     "       kiln registry collect\n\n"
     "With registry_url, images go to a registry that you run.  It keeps workspaces apart if it\n"
     "trusts the tokens that Kiln signs: this prints the part of docker-registry's configuration\n"
     "for that, and with \"certificate\" the file that it names.\n\n"
     "Without registry_url, collect frees the room of what was deleted from the registry that "
     "Kiln\n"
     "runs, which does not do so itself.  kiln serve must be stopped for it.\n"},
    {"webhook", command_webhook, "show what webhooks were and are to be told, and their secrets",
     "usage: kiln webhook ls [--all] [--json]\n"
     "       kiln webhook secret\n\n"
     "When a deployment ends, every URL of webhooks is told, and again until it acknowledges that\n"
     "with a 2xx.  ls shows what still waits: since when, how often it was tried, what came of "
     "the\n"
     "last try, and when the next one is; --all also what was delivered in the last 30 days.\n\n"
     "secret prints the secrets that requests are signed with, and makes one where there is none.\n"
     "Every request is signed with all of them, and the file is read for each; kiln rotate "
     "webhook\n"
     "changes them.\n\n"
     "  kiln serve --webhooks https://cluster.example/kiln\n"
     "  kiln webhook ls\n"},
    {"doctor", command_doctor, "say whether this machine can build, and what is missing",
     "usage: kiln doctor [OPTION]...\n\n"
     "Tries what a build needs (namespaces, an overlay, buildah, network for RUN, a registry) and\n"
     "says for each how it is and what to do.  Exits with 1 when something is missing.\n"},
    {"config", command_config, "show every key, its value here, and where that comes from",
     "usage: kiln config [OPTION]...\n"},
};

static void print_help(FILE *to)
{
    fputs("kiln builds container images from uploaded folders: it takes archives at presigned\n"
          "URLs, builds them in a jail, step by step, and pushes them to a private registry.\n\n"
          "usage: kiln COMMAND [WORD]... [OPTION]...\n\n",
          to);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fputs("\n`kiln COMMAND --help` says more.  Begin with `kiln doctor`, then `kiln build DIR` or\n"
          "`kiln serve`.\n\nOptions, for every command:\n",
          to);
    config_print_help(to);
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static bool asks_for_help(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    return false;
}

static int run_command(const struct command *command, int argc, char **argv)
{
    CLEANUP(config_release) struct config config;
    struct error err = ERROR_INIT;

    config_init(&config);
    if (asks_for_help(argc, argv)) {
        fputs(command->help, stdout);
        fputs("\nOptions:\n", stdout);
        config_print_help(stdout);
        return 0;
    }
    if (!command->run)
        return COMMAND_OF_WHOLE;
    if (config_load(&argc, argv, &config, &err) < 0 || (whole_setup && whole_setup(&err) < 0)) {
        fprintf(stderr, "kiln %s: %s\n", command->name, err.msg);
        return 2;
    }
    return command->run(&config, argc, argv);
}

int command_config(const struct config *config, int argc, char **argv)
{
    if (argc > 1) {
        fprintf(stderr, "kiln config: unexpected word \"%s\"\n", argv[1]);
        return 2;
    }
    config_print_table(config, stdout);
    return 0;
}

/* Signals are waited for, not handled; a closed pipe or connection is an error of the write. */
static void set_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGPIPE);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
}

/* Reading the configuration takes options out of the words: the whole program gets all of them. */
static int run_or_become_whole(const struct command *command, int argc, char **argv)
{
    char **words = calloc((size_t)argc + 1, sizeof(*words));
    int code;

    if (!words) {
        fprintf(stderr, "kiln: out of memory\n");
        return 2;
    }
    memcpy(words, argv, (size_t)argc * sizeof(*words));
    set_signals();
    code = run_command(command, argc - 1, argv + 1);
    if (code == COMMAND_OF_WHOLE)
        code = program_become_whole(words);
    free(words);
    return code;
}

void command_may_be_killed(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

int main(int argc, char **argv)
{
    const struct command *command;

    if (whole_main)
        whole_main(argc, argv);
    (void)setlocale(LC_CTYPE, "C.UTF-8");
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_help(argc < 2 ? stderr : stdout);
        return argc < 2 ? 2 : 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("kiln %s\n", KILN_VERSION);
        return 0;
    }
    command = find_command(argv[1]);
    if (!command) {
        fprintf(stderr, "kiln: there is no command \"%s\"; see kiln --help\n", argv[1]);
        return 2;
    }
    return run_or_become_whole(command, argc, argv);
}
