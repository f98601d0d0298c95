/* A JavaScript or TypeScript project: what its files say about the image, the package manager, the
 * dependencies, the build and the start command. */
#include "tests/dockerfile/node_case.h"

static void test_the_version_of_node_is_what_the_project_asks_for(void **state)
{
    static const struct node_case table[] = {
        {{WITH("")}, {"+FROM node:22-slim\n", "+the default"}},
        {{WITH(", \"engines\": {\"node\": \">=18\"}")}, {"+FROM node:24-slim\n"}},
        {{WITH(", \"engines\": {\"node\": \"*\"}")}, {"+FROM node:24-slim\n"}},
        {{WITH(", \"engines\": {\"node\": \">=18 <21\"}")},
         {"+FROM node:20-slim\n", "?no security fixes since April 2026"}},
        {{WITH(", \"engines\": {\"node\": \"18.x || 20.x || 22.x\"}")}, {"+FROM node:22-slim\n"}},
        {{WITH(", \"engines\": {\"node\": \"22.4.1\"}")}, {"+FROM node:22.4.1-slim\n"}},
        {{WITH(", \"engines\": {\"node\": \"~22.4.1\"}")}, {"+FROM node:22.4-slim\n"}},
        {{WITH(", \"engines\": {\"node\": \"^22.4.1\"}")}, {"+FROM node:22-slim\n"}},
        {{WITH(", \"engines\": {\"node\": \"<=20.11.1 >=20.11.0\"}")},
         {"+FROM node:20.11.1-slim\n"}},
        {{WITH(", \"engines\": {\"node\": \">=26\"}")}, {"+FROM node:26-slim\n"}},
        {{WITH(", \"engines\": {\"node\": \">=31\"}")}, {"+FROM node:31-slim\n"}},
        {{WITH(", \"engines\": {\"node\": \"16\"}")},
         {"+FROM node:16-slim\n", "?Node.js 16 has had no security fixes"}},
        {{WITH(", \"engines\": {\"node\": \"8\"}")}, {"!asks for Node.js \"8\""}},
        {{WITH(", \"engines\": {\"node\": \">=5 <4\"}")}, {"!of which there is no image"}},
        {{WITH(", \"engines\": {\"node\": \"newest\"}")},
         {"+FROM node:22-slim\n", "?\"newest\" is no version"}},
        {{WITH(", \"engines\": [\"node\"]")}, {"+FROM node:22-slim\n"}},
        {{WITH(""), {".nvmrc", "lts/*\n"}}, {"+FROM node:24-slim\n", "+# Node.js 24: .nvmrc"}},
        {{WITH(""), {".nvmrc", "lts/Jod"}}, {"+FROM node:22-slim\n", "+.nvmrc"}},
        {{WITH(""), {".nvmrc", "# ours\n\n v20.11.1 # exactly\r\n"}},
         {"+FROM node:20.11.1-slim\n"}},
        {{WITH(""), {".nvmrc", "\xff\xfe"}}, {"+FROM node:22-slim\n", "?.nvmrc"}},
        {{WITH(""), {".node-version", "22.4"}}, {"+FROM node:22.4-slim\n"}},
        {{WITH(""), {".tool-versions", "python 3.12\nnodejs 22.4.1 20.1.0\n"}},
         {"+FROM node:22.4.1-slim\n"}},
        {{WITH(""), {".tool-versions", "python 3.12\n"}}, {"+FROM node:22-slim\n"}},
        {{WITH(""), {".tool-versions", " node\t20.11.1 # mine\r\n"}},
         {"+FROM node:20.11.1-slim\n"}},
        {{WITH(", \"volta\": {\"node\": \"20.11.1\"}")}, {"+FROM node:20.11.1-slim\n"}},
        {{WITH(", \"engines\": {\"node\": \">=22\"}"), {".nvmrc", "20"}},
         {"+FROM node:24-slim\n", "?.nvmrc asks for Node.js 20"}},
    };

    CHECK(table);
}

static void test_the_manager_is_told_by_packagemanager_then_by_lock_files(void **state)
{
    static const struct node_case table[] = {
        {{WITH(ONE), {"package-lock.json", "{}"}}, {"+npm ci", "-npm install -g"}},
        {{WITH(ONE), {"npm-shrinkwrap.json", "{}"}}, {"+COPY package.json npm-shrinkwrap.json ./"}},
        {{WITH(ONE)}, {"+npm install --no-audit", "?commit the package-lock.json"}},
        {{WITH(ONE), {"pnpm-lock.yaml", "lockfileVersion: 5.3\n"}}, {"+pnpm@7.33.7"}},
        {{WITH(ONE), {"pnpm-lock.yaml", "lockfileVersion: 5.4\n"}}, {"+pnpm@7.33.7"}},
        {{WITH(ONE), {"pnpm-lock.yaml", "lockfileVersion: '6.0'\n"}}, {"+pnpm@8.15.9"}},
        {{WITH(ONE), {"pnpm-lock.yaml", "lockfileVersion: '9.0'\n"}},
         {"+pnpm@9.15.9", "+pnpm install --frozen-lockfile"}},
        {{WITH(ONE), {"pnpm-lock.yaml", "lockfileVersion: '11.0'\n"}},
         {"+pnpm@10.34.9", "?lockfileVersion \"11.0\" is not known"}},
        {{WITH(ONE),
          {"pnpm-lock.yaml", "lockfileVersion: '9.0'\n"},
          {"pnpm-workspace.yaml", "onlyBuiltDependencies:\n  - x\n"}},
         {"+pnpm@10.34.9", "+onlyBuiltDependencies in pnpm-workspace.yaml"}},
        {{WITH(ONE),
          {"pnpm-lock.yaml", "lockfileVersion: '9.0'\n"},
          {"pnpm-workspace.yaml", "packages:\n  - x\n"}},
         {"+pnpm@9.15.9"}},
        {{WITH(ONE ", \"engines\": {\"pnpm\": \">=10\"}"),
          {"pnpm-lock.yaml", "lockfileVersion: '9.0'\n"}},
         {"+pnpm@10.34.9", "+engines.pnpm"}},
        {{WITH(ONE ", \"engines\": {\"pnpm\": \"^8\"}")},
         {"+pnpm@8.15.9", "+pnpm install --no-frozen-lockfile"}},
        {{WITH(ONE ", \"engines\": {\"pnpm\": \"5\"}")}, {"?engines.pnpm"}},
        {{WITH(ONE ", \"packageManager\": \"pnpm@10.1.0+sha512.00ff\""),
          {"package-lock.json", "{}"}},
         {"+pnpm@10.1.0\n", "?package-lock.json is left out of account", "?no lock file"}},
        {{WITH(ONE ", \"packageManager\": \"pnpm@8.3.0\"")}, {"+pnpm@8.15.9\n"}},
        {{WITH(ONE ", \"packageManager\": \"pnpm@7.33.7\"")}, {"+pnpm@7.33.7\n"}},
        {{WITH(ONE ", \"packageManager\": \"pnpm@8.5.0\"")}, {"+pnpm@8.5.0\n"}},
        {{WITH(ONE ", \"packageManager\": \"pnpm@8\"")}, {"+pnpm@8\n"}},
        {{WITH(ONE ", \"packageManager\": \"pnpm@6.35.1\""), {".nvmrc", "18"}}, {"+pnpm@6.35.1\n"}},
        {{WITH(ONE ", \"packageManager\": \"pnpm@12.1.0\"")},
         {"+pnpm@12.1.0\n", "+ENV pnpm_config_pm_on_fail=ignore\n"}},
        {{WITH(ONE ", \"packageManager\": \"pnpm@11.9.0\"")}, {"-pm_on_fail"}},
        {{WITH(ONE ", \"packageManager\": \"pnpm@6.35.1\"")},
         {"+pnpm@7.33.7", "?does not run on Node.js 22"}},
        {{WITH(ONE ", \"packageManager\": \"npm@10.9.0\""), {"package-lock.json", "{}"}},
         {"+npm install -g --no-audit --no-fund npm@10.9.0", "+npm ci"}},
        {{WITH(ONE), {"yarn.lock", "# yarn lockfile v1\n"}},
         {"+--force yarn@1.22.22", "+yarn install --frozen-lockfile"}},
        {{WITH(ONE ", \"packageManager\": \"yarn@1.22.19\"")}, {"+--force yarn@1.22.19\n"}},
        {{WITH(ONE), {"yarn.lock", "__metadata:\n  version: 6\n"}},
         {"+@yarnpkg/cli-dist@3.8.7", "?nothing says which Yarn"}},
        {{WITH(ONE), {"yarn.lock", "__metadata:\n  version: 8\n"}},
         {"+@yarnpkg/cli-dist@4.12.0", "+yarn install --immutable"}},
        {{WITH(ONE), {"yarn.lock", "__metadata:\n  version: 9\n"}}, {"+cli-dist@4.14.1"}},
        {{WITH(ONE), {"yarn.lock", "__metadata:\n  version: 99\n"}}, {"+cli-dist@4.18.1"}},
        {{WITH(ONE), {"yarn.lock", ""}, {".yarnrc.yml", "nodeLinker: pnpm\n"}},
         {"+cli-dist@4.18.1", "-YARN_NODE_LINKER"}},
        {{WITH(ONE ", \"packageManager\": \"yarn@4.0.0-rc.45\"")},
         {"+cli-dist@4.0.0-rc.45\n", "+ENV YARN_NODE_LINKER=node-modules",
          "+yarn install --no-immutable"}},
        {{WITH(ONE),
          {"yarn.lock", ""},
          {".yarnrc.yml", "yarnPath: ./.yarn/releases/yarn-4.1.0.cjs"},
          {".yarn/releases/yarn-4.1.0.cjs", ""}},
         {"+exec node /app/.yarn/releases/yarn-4.1.0.cjs \"$@\"", "+COPY .yarn/ ./.yarn/",
          "-npm install -g", "+Yarn 4.1.0"}},
        {{WITH(ONE),
          {"yarn.lock", ""},
          {".yarnrc.yml", "yarnPath: tools/yarn.cjs"},
          {"tools/yarn.cjs", ""}},
         {"+COPY tools/yarn.cjs ./tools/yarn.cjs\n"}},
        {{WITH(ONE), {"yarn.lock", ""}, {".yarnrc.yml", "yarnPath: gone.cjs"}},
         {"!yarnPath in .yarnrc.yml names \"gone.cjs\""}},
        {{WITH(ONE),
          {"yarn.lock", ""},
          {".yarnrc.yml", "yarnPath: 'a b; rm.cjs'"},
          {"a b; rm.cjs", ""}},
         {"!yarnPath"}},
        {{WITH(ONE), {"bun.lock", ""}},
         {"+FROM oven/bun:1-slim", "+bun install --frozen-lockfile", "+\"bun\", \"index.js\""}},
        {{WITH(ONE), {"bun.lockb", ""}}, {"+COPY package.json bun.lockb ./"}},
        {{WITH(ONE ", \"packageManager\": \"bun@1.2.3\"")}, {"+FROM oven/bun:1.2.3-slim"}},
        {{WITH(ONE), {"bun.lock", ""}, {".nvmrc", "22"}}, {"+FROM node:22-slim", "+bun@1\n"}},
        {{WITH(ONE), {"pnpm-lock.yaml", ""}, {"bun.lock", ""}},
         {"+pnpm", "?bun.lock is left out of account: pnpm is used (pnpm-lock.yaml)"}},
        {{WITH(ONE ", \"packageManager\": \"pnpm\"")}, {"!packageManager in package.json"}},
        {{WITH(ONE ", \"packageManager\": \"pnpm@latest\"")}, {"!packageManager in package.json"}},
        {{WITH(ONE ", \"packageManager\": \"cnpm@1.2.3\"")}, {"!packageManager in package.json"}},
        {{WITH(ONE ", \"packageManager\": \"pnpm@1.2.3;reboot\"")}, {"!packageManager"}},
    };

    CHECK(table);
}

static void test_the_start_command_comes_from_scripts_then_files_then_main(void **state)
{
    static const struct node_case table[] = {
        {{STARTS("node a.js", ", \"prod\": \"node b.js\"}"), {"a.js", ""}, {"b.js", ""}},
         {"+CMD [\"node\", \"b.js\"]", "+# scripts.prod in package.json"}},
        {{STARTS("node a.js", "}"), {"index.js", ""}}, {"+CMD [\"node\", \"a.js\"]"}},
        {{STARTS("next start", "}")}, {"+CMD [\"next\", \"start\"]", "+/app/node_modules/.bin:"}},
        {{STARTS("A=1 node a.js", "}")}, {"+CMD [\"npm\", \"run\", \"start\"]"}},
        {{STARTS("node a.js && node b.js", "}")}, {"+CMD [\"npm\", \"run\", \"start\"]"}},
        {{STARTS("cd src", "}")}, {"+CMD [\"npm\", \"run\", \"start\"]"}},
        {{STARTS("node a.js", ", \"prestart\": \"node b.js\"}")},
         {"+CMD [\"npm\", \"run\", \"start\"]"}},
        {{STARTS("node a.js", "}")}, {"+CMD [\"app\"]", "+[entrypoint] prod", "=app"}},
        {{STARTS("node a.js", "}"), {"Procfile", "web: node w.js\n"}},
         {"+CMD [\"node\", \"w.js\"]", "+Procfile"}},
        {{STARTS("  ", "}"), {"server.js", ""}}, {"+CMD [\"node\", \"server.js\"]"}},
        {{{"package.json", "{}"}, {"src/index.js", ""}, {"app.js", ""}, {"dist/server.js", ""}},
         {"+CMD [\"node\", \"dist/server.js\"]", "+# dist/server.js is there"}},
        {{{"package.json", "{\"main\": \"./lib/x.js\"}"}, {"lib/x.js", ""}},
         {"+CMD [\"node\", \"lib/x.js\"]", "+# main in package.json"}},
        {{{"package.json", "{\"main\": \"lib\"}"}, {"lib/index.js", ""}},
         {"+CMD [\"node\", \"lib\"]"}},
        {{{"package.json", "{\"main\": \"out/x.js\", \"scripts\": {\"build\": \"make\"}}"}},
         {"+CMD [\"node\", \"out/x.js\"]", "+RUN npm run build"}},
        {{{"package.json", "{\"main\": \"out/x.js\"}"}}, {"!nothing says what starts"}},
        {{{"package.json", "{\"main\": \"../x.js\", \"scripts\": {\"build\": \"make\"}}"}},
         {"!nothing says what starts the program that scripts.build"}},
        {{{"package.json", "{}"}}, {"!no Procfile, no scripts.prod"}},
        {{STARTS("node a.js", "}" ONE), {"pnpm-lock.yaml", "lockfileVersion: '9.0'"}},
         {"-FROM base", "?a.js is not in the project"}},
        {{STARTS("A=1 node a.js", "}" ONE), {"pnpm-lock.yaml", "lockfileVersion: '9.0'"}},
         {"+CMD [\"pnpm\", \"run\", \"start\"]", "+\nFROM base\n", "+FROM base AS build"}},
        {{STARTS("npm run go", ", \"go\": \"yarn x\"}" ONE), {"yarn.lock", ""}},
         {"+CMD [\"npm\", \"run\", \"go\"]", "+\nFROM base\n"}},
    };

    CHECK(table);
}

static void test_typescript_that_nothing_builds_is_run_or_compiled(void **state)
{
    static const struct node_case table[] = {
        {{{"package.json", "{\"dependencies\": {\"tsx\": \"4\"}}"}, {"src/index.ts", ""}},
         {"+CMD [\"tsx\", \"src/index.ts\"]"}},
        {{{"package.json", "{\"devDependencies\": {\"tsx\": \"4\", \"typescript\": \"5\"}}"},
          {"src/app.ts", ""},
          {"tsconfig.json", "{}"}},
         {"+CMD [\"tsx\", \"src/app.ts\"]", "-prune", "?uses tsx, which is in devDependencies"}},
        {{{"package.json", "{\"devDependencies\": {\"typescript\": \"5\"}}"},
          {"src/app.ts", ""},
          {"tsconfig.json", "{}"}},
         {"+tsc -p . --rootDir . --outDir null", "+CMD [\"node\", \"src/app.js\"]", "+npm prune"}},
        {{{"package.json", "{\"devDependencies\": {\"typescript\": \"5\"}}"},
          {"index.mts", ""},
          {"tsconfig.json", "{}"}},
         {"+CMD [\"node\", \"index.mjs\"]"}},
        {{{"package.json", "{\"devDependencies\": {\"typescript\": \"5\"}}"},
          {"src/app.ts", ""},
          {"tsconfig.json", "{\"compilerOptions\": {\"allowImportingTsExtensions\": true}}"}},
         {"-tsc", "+CMD [\"node\", \"src/app.ts\"]"}},
        {{{"package.json", "{\"devDependencies\": {\"typescript\": \"5\"}}"}, {"src/app.ts", ""}},
         {"-tsc", "+CMD [\"node\", \"src/app.ts\"]", "?src/app.ts is run as it is"}},
        {{{"package.json", "{}"}, {"src/app.ts", ""}, {".nvmrc", "22.18.0"}},
         {"+CMD [\"node\", \"src/app.ts\"]"}},
        {{{"package.json", "{}"}, {"src/app.ts", ""}, {".nvmrc", "22.17.9"}},
         {"!only Node.js 22.18 and later"}},
        {{{"package.json", "{}"}, {"src/app.ts", ""}, {".nvmrc", "23.5"}}, {"!only Node.js 22.18"}},
        {{{"package.json", "{}"}, {"src/app.ts", ""}, {"bun.lock", ""}},
         {"+CMD [\"bun\", \"src/app.ts\"]"}},
        {{{"package.json", "{\"scripts\": {\"build\": \"tsc\"}}"}, {"src/app.ts", ""}},
         {"!nothing says what starts the program that scripts.build"}},
        {{STARTS("node dist/x.js", "}, \"devDependencies\": {\"typescript\": \"5\"}"),
          {"tsconfig.json", "{}"}},
         {"+RUN node_modules/.bin/tsc -p .\n", "+dist/x.js is not there"}},
        {{STARTS("node dist/x.js", ", \"build\": \"tsc\"}, \"devDependencies\": "
                                   "{\"typescript\": \"5\"}"),
          {"tsconfig.json", "{}"}},
         {"-.bin/tsc", "+RUN npm run build"}},
    };

    CHECK(table);
}

static void test_development_dependencies_go_unless_the_start_command_uses_one(void **state)
{
    static const struct node_case table[] = {
        {{STARTS("node a.js", "}, \"devDependencies\": {\"tsx\": \"4\"}")}, {"+npm prune"}},
        {{STARTS("node a.js", "}, \"dependencies\": {\"tsx\": \"4\"}")}, {"-npm prune"}},
        {{STARTS("node --import=tsx a.ts", "}, \"devDependencies\": {\"tsx\": \"4\"}")},
         {"-npm prune", "?devDependencies of package.json: they stay"}},
        {{STARTS("node -r ts-node/register a.ts", "}, \"devDependencies\": {\"ts-node\": \"9\"}")},
         {"-npm prune"}},
        {{STARTS("./node_modules/.bin/tsx a.ts", "}, \"devDependencies\": {\"tsx\": \"4\"}")},
         {"-npm prune"}},
        {{STARTS("npm run x", ", \"x\": \"npm run y\", \"y\": \"tsx a.ts\"}, \"devDependencies\": "
                              "{\"tsx\": \"4\"}")},
         {"-npm prune"}},
        {{STARTS("npm run x", ", \"prex\": \"tsc\", \"x\": \"npm run start\"}, "
                              "\"devDependencies\": {\"typescript\": \"5\"}")},
         {"-npm prune", "?uses typescript"}},
        {{STARTS("node a.js", "}, \"devDependencies\": {\"tsx\": \"4\"}, \"dependencies\": "
                              "{\"tsx\": \"4\"}")},
         {"+npm prune"}},
        {{STARTS("node a.js", "}, \"devDependencies\": {\"@types/node\": \"4\", \"@x/node\": "
                              "\"1\"}")},
         {"+npm prune"}},
        {{STARTS("serve .", "}, \"devDependencies\": {\"@types/serve\": \"1\"}, "
                            "\"dependencies\": {\"serve\": \"1\"}")},
         {"+npm prune"}},
        {{STARTS("npm run x",
                 ", \"x\": \"npm run x x x x x x x x x x x x x x x x x x x x x x x x x "
                 "x x x x x x x x x x y\", \"y\": \"tsx a.ts\"}, "
                 "\"devDependencies\": {\"tsx\": \"4\"}")},
         {"-npm prune"}},
        {{STARTS("run start", "}, \"devDependencies\": {\"@x/run\": \"1\"}")}, {"-npm prune"}},
        {{STARTS("node a.js", "}, \"devDependencies\": {\"x\": \"1\"}"), {"bun.lock", ""}},
         {"+rm -rf node_modules && bun install --production --frozen-lockfile\n"}},
        {{STARTS("node a.js", ", \"prepare\": \"x\"}, \"devDependencies\": {\"x\": \"1\"}"),
          {"bun.lock", ""}},
         {"+bun install --production --frozen-lockfile --ignore-scripts\n"}},
        {{STARTS("node a.js", "}, \"devDependencies\": {\"x\": \"1\"}, \"packageManager\": "
                              "\"yarn@3.8.7\"")},
         {"-focus", "?only with its workspace-tools plugin"}},
        {{STARTS("node a.js", "}, \"devDependencies\": {\"x\": \"1\"}"),
          {".yarnrc.yml", "plugins:\n  - path: .yarn/plugins/@yarnpkg/plugin-workspace-tools.cjs\n"
                          "yarnPath: .yarn/releases/yarn-3.6.0.cjs\n"},
          {".yarn/releases/yarn-3.6.0.cjs", ""}},
         {"+yarn workspaces focus --production --all"}},
        {{STARTS("npm --prefix apps/a run go", "}, \"workspaces\": [\"apps/*\"]"),
          {"apps/a/package.json", "{\"scripts\": {\"go\": \"tsx a.ts\"}, \"devDependencies\": "
                                  "{\"tsx\": \"4\"}}"}},
         {"-npm prune", "?which is in devDependencies of apps/a/package.json"}},
    };

    CHECK(table);
}

static void test_manifests_come_before_the_sources_unless_installing_needs_them(void **state)
{
    static const struct node_case table[] = {
        {{WITH(ONE), {"package-lock.json", "{}"}, {".npmrc", ""}, {"patches/a.patch", ""}},
         {"+COPY package.json package-lock.json .npmrc ./\n", "+COPY patches/ ./patches/\n"}},
        {{STARTS("node a.js", ", \"postinstall\": \"node b.js\"}" ONE)},
         {"+# scripts.postinstall in package.json", "-COPY package.json"}},
        {{WITH(", \"dependencies\": {\"one\": \"file:lib/one\"}")},
         {"+# one of dependencies in package.json is a path", "-COPY package.json"}},
        {{WITH(ONE ", \"workspaces\": [\"packages/*\", \"./apps/x\"]"),
          {"packages/a/package.json", "{}"},
          {"packages/b/lib/package.json", "{}"},
          {"apps/x/package.json", "{}"},
          {"apps/y/package.json", "{}"}},
         {"+COPY packages/a/package.json ./packages/a/\n", "+COPY apps/x/package.json ./apps/x/\n",
          "-apps/y", "-packages/b"}},
        {{WITH(", \"workspaces\": [\"a/*\", \"!a/old\"]" ONE),
          {"a/b/package.json", "{}"},
          {"a/old/package.json", "{}"}},
         {"+COPY a/b/package.json ./a/b/\n", "-a/old"}},
        {{WITH(", \"workspaces\": {\"packages\": [\"**\", \"!old/*\"]}"),
          {"a/b/package.json", "{\"dependencies\": {\"x\": \"1\"}}"},
          {"old/c/package.json", "{}"},
          {"node_modules/d/package.json", "{}"},
          {".x/e/package.json", "{}"}},
         {"+COPY a/b/package.json ./a/b/\n", "-old/", "-node_modules/d", "-.x"}},
        {{WITH(", \"workspaces\": [\"a/*\"]"),
          {"a/b/package.json", "{\"scripts\": {\"prepare\": "
                               "\"x\"}}"}},
         {"+# scripts.prepare in a/b/package.json", "-COPY package.json"}},
        {{WITH(", \"workspaces\": [\"a/*\"]" ONE), {"a/b $c/package.json", "{}"}},
         {"+a name that COPY would take for more", "-COPY package.json", "-b $c"}},
        {{WITH(", \"workspaces\": [\"a/*\"]"), {"a/b/package.json", "[]"}},
         {"!a/b/package.json: not a JSON object"}},
        {{WITH(""),
          {"pnpm-workspace.yaml", "packages:\n  - 'p/*'\n"},
          {"p/a/package.json", "{\"dependencies\": "
                               "{\"x\": \"1\"}}"}},
         {"+COPY package.json pnpm-workspace.yaml ./", "+COPY p/a/package.json ./p/a/"}},
        {{WITH("")}, {"-COPY package.json", "-RUN npm", "+COPY --chown=1000:1000 . ."}},
        {{WITH("")}, {"+COPY . .", "-USER", "-chown", "@sandbox"}},
        {{WITH("")}, {"-EXPOSE", "+USER 1000", "@job"}},
    };

    CHECK(table);
}

static void test_a_lock_file_that_npm_would_refuse_is_warned_of(void **state)
{
#define LOCK(root)                                                                                 \
    {                                                                                              \
        "package-lock.json", "{\"packages\": {\"\": {" root "}}}"                                  \
    }
    static const struct node_case table[] = {
        {{WITH(ONE), LOCK("\"dependencies\": {\"one\": \"2\"}")}, {"?made for other dependencies"}},
        {{WITH(ONE), LOCK("")}, {"?made for other dependencies"}},
        {{WITH(""), LOCK("\"devDependencies\": {\"x\": \"2\"}")}, {"?made for other dependencies"}},
    };
    static const struct node_case good[] = {
        {{WITH(ONE), LOCK("\"dependencies\": {\"one\": \"1\"}")}, {NULL}},
        {{WITH(ONE ", \"devDependencies\": {}"), LOCK("\"dependencies\": {\"one\": \"1\"}")},
         {NULL}},
        {{WITH(ONE), {"package-lock.json", "{\"lockfileVersion\": 1}"}}, {NULL}},
        {{WITH(ONE), {"package-lock.json", "not JSON"}}, {NULL}},
    };

    CHECK(table);
    for (size_t i = 0; i < N_OF(good); i++) {
        CLEANUP(dockerfile_generation_release) struct dockerfile_generation g;
        struct error err = ERROR_INIT;

        dockerfile_generation_init(&g);
        assert_int_equal(generate(&good[i], &g, &err), 0);
        assert_int_equal(g.warnings.n, 0);
    }
}

static void test_a_package_json_that_cannot_be_read_is_refused_with_its_place(void **state)
{
    static const struct node_case table[] = {
        {{{"package.json", "{\n  \"a\": 1,\n}"}}, {"!package.json line 3: "}},
        {{{"package.json", ""}}, {"!package.json line "}},
        {{{"package.json", "[1]"}}, {"!package.json: not a JSON object"}},
        {{{"package.json", "{\"scripts\": []}"}}, {"!scripts in package.json is not an object"}},
        {{{"package.json", "{\"scripts\": {\"start\": [\"x\"]}}"}},
         {"!scripts.start in package.json is not a string"}},
        {{{"package.json", "{\"dependencies\": {\"x\": {}}}"}},
         {"!dependencies.x in package.json is not a string"}},
        {{{"package.json", "{\"scripts\": {\"start\": \"a\\u0000b\"}}"}}, {"!package.json line 1"}},
        {{{"package.json", "{\"name\": \"\xff\"}"}}, {"!package.json line 1"}},
    };

    CHECK(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_version_of_node_is_what_the_project_asks_for),
        cmocka_unit_test(test_the_manager_is_told_by_packagemanager_then_by_lock_files),
        cmocka_unit_test(test_the_start_command_comes_from_scripts_then_files_then_main),
        cmocka_unit_test(test_typescript_that_nothing_builds_is_run_or_compiled),
        cmocka_unit_test(test_development_dependencies_go_unless_the_start_command_uses_one),
        cmocka_unit_test(test_manifests_come_before_the_sources_unless_installing_needs_them),
        cmocka_unit_test(test_a_lock_file_that_npm_would_refuse_is_warned_of),
        cmocka_unit_test(test_a_package_json_that_cannot_be_read_is_refused_with_its_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
