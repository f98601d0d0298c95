/* The rules beyond BuildKit's: what each finds, and what it lets pass. */
#include "dockerfile/check.h"
#include "tests/dockerfile/sample.h"

struct practice_case {
    const char *text;
    const char *want; /* findings of the rule: "line: detail", one each with a newline at the end */
};

static void find(const char *text, bool asked, bool all_stages, struct dockerfile_findings *ret)
{
    const struct dockerfile_check_request request = {.hadolint = asked, .all_stages = all_stages};
    struct dockerfile *d = must_parse(text);
    struct error err = ERROR_INIT;

    if (dockerfile_check(d, &request, ret, &err) < 0)
        fail_msg("%s\n%s", err.msg, text);
    dockerfile_free(d);
}

static void list(const struct dockerfile_findings *f, const char *rule, struct buf *out)
{
    for (size_t i = 0; i < f->n; i++)
        if (strcmp(f->warnings[i].rule, rule) == 0) {
            assert_non_null(f->warnings[i].advice);
            buf_addf(out, "%d: %s\n", f->warnings[i].first_line, f->warnings[i].detail);
        }
}

static void check(const char *rule, const struct practice_case *c)
{
    CLEANUP(buf_release) struct buf got = BUF_INIT(1 << 16);
    struct dockerfile_findings f;

    find(c->text, true, true, &f);
    list(&f, rule, &got);
    if (strcmp(buf_str(&got), c->want) != 0)
        fail_msg("%s in\n%s\nfound:\n%s\nexpected:\n%s", rule, c->text, buf_str(&got), c->want);
    dockerfile_findings_release(&f);
}

#define CHECK_ALL(rule, table)                                                                     \
    do {                                                                                           \
        for (size_t i_ = 0; i_ < sizeof(table) / sizeof((table)[0]); i_++)                         \
            check(rule, &(table)[i_]);                                                             \
    } while (0)

#define F "FROM debian:12\n"

static void test_a_base_has_a_tag(void **state)
{
    static const struct practice_case untagged[] = {
        {"FROM debian\n", "1: the base image debian has no tag\n"},
        {"FROM host:5000/debian\n", "1: the base image host:5000/debian has no tag\n"},
        {F "FROM debian AS x\n", "2: the base image debian has no tag\n"},
        {F, ""},
        {"FROM host:5000/debian:1\n", ""},
        {"FROM debian@sha256:"
         "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n",
         ""},
        {"FROM scratch\n", ""},
        {"FROM debian:12 AS base\nFROM Base\n", ""},
        {"ARG X=debian\nFROM $X\n", "2: the base image debian has no tag\n"},
        {"ARG X=debian:1\nFROM $X\n", ""},
        {"FROM debian:latest\n", ""},
    };
    static const struct practice_case latest[] = {
        {"FROM debian:latest\n",
         "1: the base image debian:latest is another one after each release\n"},
        {"FROM debian:latest@sha256:"
         "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n",
         ""},
        {"FROM debian\n", ""},
        {"FROM latest:1\n", ""},
    };

    (void)state;
    CHECK_ALL("DL3006", untagged);
    CHECK_ALL("DL3007", latest);
}

static void test_a_workdir_is_a_whole_path(void **state)
{
    static const struct practice_case table[] = {
        {F "WORKDIR app\n", "2: WORKDIR \"app\" depends on the WORKDIR before it\n"},
        {F "WORKDIR ./app\n", "2: WORKDIR \"./app\" depends on the WORKDIR before it\n"},
        {F "WORKDIR /app\nWORKDIR $X\nWORKDIR ${X}/y\nWORKDIR \"/a b\"\nWORKDIR c:\\x\n", ""},
    };

    (void)state;
    CHECK_ALL("DL3000", table);
}

static void test_a_port_is_in_its_range(void **state)
{
    static const struct practice_case table[] = {
        {F "EXPOSE 80000\n", "2: \"80000\" is no port from 0 to 65535\n"},
        {F "EXPOSE 80 65536/tcp\n", "2: \"65536/tcp\" is no port from 0 to 65535\n"},
        {F "EXPOSE 8000-99999\n", "2: \"8000-99999\" is no port from 0 to 65535\n"},
        {F "EXPOSE 0 80/tcp 65535 8000-8010/udp $PORT ${P}/tcp\n", ""},
    };

    (void)state;
    CHECK_ALL("DL3011", table);
}

#define USED(by) "2: $A is used by \"" by "\" and set by the same ENV, so it is not set yet\n"

static void test_an_env_does_not_use_what_it_sets_itself(void **state)
{
    static const struct practice_case table[] = {
        {F "ENV A=1 B=$A\n", USED("B=$A")},
        {F "ENV B=\"x ${A:-y}\" A=1\n", USED("B=\\\"x ${A:-y}\\\"")},
        {F "ENV A=1 B='x'$A C=$A\n", USED("B='x'$A")},
        {F "ENV A=1\nENV A=2 B=$A\n", ""},
        {F "ARG A\nENV A=2 B=$A\n", ""},
        {F "ENV PATH=/x:$PATH B=1\n", ""},
        {F "ENV A=1 B='$A' C=\\$A D=$AB E=A\n", ""},
        {F "ENV A $A B=$A\n", ""},
    };

    (void)state;
    CHECK_ALL("DL3044", table);
}

static void test_add_is_for_what_copy_cannot_do(void **state)
{
    static const struct practice_case table[] = {
        {F "ADD x /x\n", "2: ADD of \"x\", which is neither remote nor an archive\n"},
        {F "ADD . /app\n", "2: ADD of \".\", which is neither remote nor an archive\n"},
        {F "ADD [\"a b\", \"/x\"]\n",
         "2: ADD of \"a b\", which is neither remote nor an archive\n"},
        {F "ADD x.tar.gz /\nADD https://a.b/c /c\nADD git@a.b:c/d.git /d\nADD $X /x\n"
           "ADD a b.tgz /c/\nADD <<EOF /x\ny\nEOF\nCOPY x /x\n",
         ""},
    };

    (void)state;
    CHECK_ALL("DL3020", table);
}

static void test_several_sources_need_a_directory(void **state)
{
    static const struct practice_case table[] = {
        {F "COPY a b /x\n", "2: several sources are copied to \"/x\", which does not end with /\n"},
        {F "COPY [\"a\", \"b\", \"x\"]\n",
         "2: several sources are copied to \"x\", which does not end with /\n"},
        {F "COPY a /x\nCOPY a b /x/\nCOPY a b .\nCOPY a b ./\nCOPY a b $X\nCOPY a b /x/.\n", ""},
    };

    (void)state;
    CHECK_ALL("DL3021", table);
}

#define G "FROM golang:1 AS build\n" F

static void test_a_copy_is_from_a_stage_above_or_an_image(void **state)
{
    static const struct practice_case unknown[] = {
        {G "COPY --from=biuld /x /x\n",
         "3: --from=\"biuld\" is no stage above this one (did you mean build?)\n"},
        {G "COPY --from=nginx /x /x\n", "3: --from=\"nginx\" is no stage above this one\n"},
        {"FROM a:1\nCOPY --from=late /x /x\nFROM b:1 AS late\n",
         "2: --from=\"late\" is no stage above this one\n"},
        {G "COPY --from=BUILD /x /x\nCOPY --from=0 /x /x\nCOPY --from=nginx:1 /x /x\n"
           "COPY --from=host/x /x /x\nCOPY /x /x\n",
         ""},
        {"FROM a:1 AS self\nCOPY --from=self /x /x\n", ""},
        {F "COPY --from=7 /x /x\n", ""}, /* refused as it is */
    };
    static const struct practice_case itself[] = {
        {"FROM a:1 AS self\nCOPY --from=Self /x /x\n",
         "2: --from=\"Self\" is the stage that it stands in\n"},
        {F "COPY --from=0 /x /x\n", "2: --from=\"0\" is the stage that it stands in\n"},
        {G "COPY --from=0 /x /x\nCOPY --from=build /x /x\n", ""},
    };
    static const struct practice_case whole[] = {
        {G "COPY --from=build / /\n", "3: all files of \"build\" are copied\n"},
        {G "COPY --from=build /a /. /x/\n", "3: all files of \"build\" are copied\n"},
        {G "COPY --from=build /a /\nCOPY / /x\n", ""},
        {"FROM golang:1 AS build\nFROM scratch\nCOPY --from=build / /\n", ""},
    };

    (void)state;
    CHECK_ALL("DL3022", unknown);
    CHECK_ALL("DL3023", itself);
    CHECK_ALL("DL3067", whole);
}

#define ASKS(manager, what) "2: " manager " " what " waits for an answer that nobody gives\n"

static void test_a_package_manager_is_not_left_to_ask(void **state)
{
    static const struct practice_case apt[] = {
        {F "RUN apt-get update && apt-get install curl\n", ASKS("apt-get", "install")},
        {F "RUN apt-get update; \\\n apt-get -q install curl\n", ASKS("apt-get", "install")},
        {F "RUN DEBIAN_FRONTEND=noninteractive apt-get install curl\n", ASKS("apt-get", "install")},
        {F "RUN if true; then sudo -E apt-get upgrade; fi\n", ASKS("apt-get", "upgrade")},
        {F "RUN [\"/usr/bin/apt-get\", \"install\", \"x\"]\n", ASKS("apt-get", "install")},
        {F "RUN [\"sh\", \"-ec\", \"true; apt-get install x\"]\n", ASKS("apt-get", "install")},
        {F "RUN <<EOF\nset -e\napt-get install x\nEOF\n", ASKS("apt-get", "install")},
        {F "RUN bash -e <<EOF\napt-get install x\nEOF\n", ASKS("apt-get", "install")},
        {F "RUN apt-get -o a=b install x\n", ASKS("apt-get", "install")},
        {F "ONBUILD RUN apt-get install x\n", ASKS("apt-get", "install")},
        {F "RUN apt-get install -y x\nRUN apt-get -yq install x\nRUN apt-get install x --yes\n"
           "RUN apt-get -qq install x\nRUN apt-get -q -q install x\nRUN apt-get -q=2 install x\n"
           "RUN yes | apt-get install x\nRUN apt-get update\nRUN apt-get clean\n"
           "RUN echo apt-get install x\nRUN echo 'x; apt-get install x'\n"
           "RUN echo \"$(echo y; echo z) && apt-get install\"\n# apt-get install x\n"
           "RUN true # apt-get install x\nRUN cat <<EOF >/x\napt-get install x\nEOF\n"
           "RUN <<EOF\n#!/usr/bin/python3\napt-get install x\nEOF\n"
           "RUN [\"echo\", \"apt-get\", \"install\"]\n",
         ""},
    };
    static const struct practice_case yum[] = {
        {F "RUN yum install x\n", ASKS("yum", "install")},
        {F "RUN yum install -y x && yum -y update && yum --assumeyes install x && yum clean all\n",
         ""},
    };
    static const struct practice_case dnf[] = {
        {F "RUN dnf install x\n", ASKS("dnf", "install")},
        {F "RUN microdnf install x\n", ASKS("microdnf", "install")},
        {F "RUN dnf -yq install x && microdnf install -y x && dnf makecache\n", ""},
    };
    static const struct practice_case zypper[] = {
        {F "RUN zypper in x\n", ASKS("zypper", "in")},
        {F "RUN zypper -n in x && zypper --non-interactive in x && zypper in -y x\n", ""},
    };

    (void)state;
    CHECK_ALL("DL3014", apt);
    CHECK_ALL("DL3030", yum);
    CHECK_ALL("DL3038", dnf);
    CHECK_ALL("DL3034", zypper);
}

static void test_apt_is_not_for_scripts(void **state)
{
    static const struct practice_case table[] = {
        {F "RUN apt update && apt install -y x\n", "2: apt: it is for a person at a terminal\n"},
        {F "RUN apt-get update && echo apt install && ls /etc/apt\n", ""},
    };

    (void)state;
    CHECK_ALL("DL3027", table);
}

static void test_an_update_is_in_the_run_of_its_install(void **state)
{
#define ALONE "2: the package lists are kept with this layer and grow old in the cache\n"
    static const struct practice_case table[] = {
        {F "RUN apt-get update\nRUN apt-get install -y x\n", ALONE},
        {F "RUN set -e; apt-get -qq update\n", ALONE},
        {F "RUN apt-get update && apt-get install -y x\nRUN apt-get update && ./install.sh\n"
           "RUN apt-get install -y x\nRUN echo apt-get update\n",
         ""},
    };

    (void)state;
    CHECK_ALL("AptUpdateAlone", table);
}

static void test_sudo_useradd_and_pipes(void **state)
{
    static const struct practice_case sudo[] = {
        {F "RUN sudo apt-get update\n", "2: sudo in a RUN\n"},
        {F "RUN true && /usr/bin/sudo true; sudo false\n", "2: sudo in a RUN\n"},
        {F "RUN apt-get install -y sudo && echo sudo\n", ""},
    };
#define LOG(uid) "2: useradd with a uid of " uid " makes a log file of gigabytes\n"
    static const struct practice_case useradd[] = {
        {F "RUN useradd -u 200000 x\n", LOG("200000")},
        {F "RUN useradd --uid=100000 x\n", LOG("100000")},
        {F "RUN sudo useradd -m --uid 4000000000 x\n", LOG("4000000000")},
        {F "RUN useradd -u1234567 x\n", LOG("1234567")},
        {F "RUN useradd -l -u 200000 x && useradd --no-log-init -u 200000 y\n", ""},
        {F "RUN useradd -u 99999 x && useradd -lm -u 200000 z && adduser -u 200000 y\n", ""},
    };
#define FAILS(name) "2: when \"" name "\" fails, the RUN goes on with what it wrote\n"
    static const struct practice_case pipe[] = {
        {F "RUN curl x | sh\n", FAILS("curl")},
        {F "RUN A=1 /usr/bin/curl x |\\\n sh\n", FAILS("curl")},
        {F "RUN echo y | cat x | sh\n", FAILS("cat")},
        {F "RUN >/x 2>&1 curl x 2> y|sh\n", FAILS("curl")},
        {F "RUN <<<b <(c;d) 2>&- curl x &>y | sh\n", FAILS("curl")},
        {F "RUN curl x || true\nRUN echo y | sh\nRUN curl 'x|y'\nRUN curl x 2>|y\n", ""},
        {F "RUN set -o pipefail && curl x | sh\nRUN set -euo pipefail; curl x | sh\n", ""},
        {F "SHELL [\"/bin/bash\", \"-o\", \"pipefail\", \"-c\"]\nRUN curl x | sh\n", ""},
        {F "SHELL [\"pwsh\", \"-c\"]\nRUN curl x | sh\n", ""},
        {"FROM a:1 AS a\nSHELL [\"/bin/bash\", \"-o\", \"pipefail\", \"-c\"]\n"
         "FROM a\nRUN curl x | sh\n",
         ""},
        {F "ONBUILD SHELL [\"/bin/bash\", \"-o\", \"pipefail\", \"-c\"]\nRUN curl x | sh\n",
         "3: when \"curl\" fails, the RUN goes on with what it wrote\n"},
    };

    (void)state;
    CHECK_ALL("DL3004", sudo);
    CHECK_ALL("DL3046", useradd);
    CHECK_ALL("DL4006", pipe);
}

static void test_manifests_are_copied_before_all_sources(void **state)
{
#define AGAIN(tool, line) "2: any change of a file makes \"" tool "\" in line " line " run again\n"
    static const struct practice_case table[] = {
        {F "COPY . .\nRUN npm ci\n", AGAIN("npm ci", "3")},
        {F "COPY . .\nRUN npm ci >log 2> err || true\n", AGAIN("npm ci", "3")},
        {F "COPY ./ /app\nRUN true\nRUN cd /app && npm install --omit=dev\n",
         AGAIN("npm install", "4")},
        {F "COPY . .\nRUN pip install --no-cache-dir -r requirements.txt\n",
         AGAIN("pip install -r", "3")},
        {F "COPY . .\nRUN yarn --frozen-lockfile\nRUN go mod download\n", AGAIN("yarn", "3")},
        {F "COPY . .\nRUN npm ci\nCOPY . .\nRUN go mod download\n", AGAIN("npm ci", "3")},
        {F "COPY package.json ./\nRUN npm ci\nCOPY . .\nRUN npm ci --omit=dev\n", ""},
        {F "COPY . .\nRUN npm run build && npm install -g x && yarn build && pip install x\n", ""},
        {"FROM a:1 AS a\nCOPY . .\nFROM b:1\nCOPY package.json .\nRUN npm ci\n", ""},
        {"FROM a:1 AS a\nFROM b:1\nCOPY --from=a . .\nRUN npm ci\n", ""},
    };

    (void)state;
    CHECK_ALL("SourcesBeforeInstall", table);
}

static void test_comments_turn_them_off(void **state)
{
    static const struct practice_case table[] = {
        {F "# hadolint ignore=DL3004\nRUN sudo a\nRUN sudo b\n", "4: sudo in a RUN\n"},
        {F "# hadolint ignore=DL3002,DL3004\nRUN sudo a\n", ""},
        {F "# hadolint ignore=DL3002\nRUN sudo a\n", "3: sudo in a RUN\n"},
        {F "# hadolint ignore=DL3004\n\nRUN sudo a\n", ""},
        {F "# hadolint ignore=DL3004\n#\nRUN sudo a\n", "4: sudo in a RUN\n"},
        {F "# check=skip=DL3004\nRUN sudo a\n", ""},
        {F "# hadolint ignore=DL3004\nONBUILD RUN sudo a\n", ""},
        {"# check=skip=DL3004\n" F "RUN sudo a\n", ""},
        {"# check=skip=all\n" F "RUN sudo a\n", ""},
    };
    static const struct practice_case sources[] = {
        {F "# hadolint ignore=SourcesBeforeInstall\nCOPY . .\nRUN npm ci\n", ""},
        {F "COPY . .\n# hadolint ignore=SourcesBeforeInstall\nRUN npm ci\n", AGAIN("npm ci", "4")},
    };

    (void)state;
    CHECK_ALL("DL3004", table);
    CHECK_ALL("SourcesBeforeInstall", sources);
}

static void test_they_are_looked_for_only_on_request(void **state)
{
    CLEANUP(buf_release) struct buf got = BUF_INIT(1 << 16);
    struct dockerfile_findings f;

    (void)state;
    find(F "RUN sudo a\n", false, true, &f);
    assert_int_equal(f.n, 0);
    dockerfile_findings_release(&f);

    /* A stage that nothing needs is for whoever asks for all of them. */
    find("FROM a:1 AS unused\nRUN sudo a\n" F "RUN sudo b\n", true, false, &f);
    list(&f, "DL3004", &got);
    assert_string_equal(buf_str(&got), "4: sudo in a RUN\n");
    dockerfile_findings_release(&f);
}

static void test_a_file_that_is_all_wrong_is_reported_to_a_limit(void **state)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(1 << 20);
    struct dockerfile_findings f;

    (void)state;
    buf_adds(&text, F);
    for (int i = 0; i < 900; i++)
        buf_adds(&text, "RUN sudo a; apt b | useradd -u 200000 c\n");
    find(buf_str(&text), true, true, &f);
    assert_int_equal(f.n, 2000);
    dockerfile_findings_release(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_base_has_a_tag),
        cmocka_unit_test(test_a_workdir_is_a_whole_path),
        cmocka_unit_test(test_a_port_is_in_its_range),
        cmocka_unit_test(test_an_env_does_not_use_what_it_sets_itself),
        cmocka_unit_test(test_add_is_for_what_copy_cannot_do),
        cmocka_unit_test(test_several_sources_need_a_directory),
        cmocka_unit_test(test_a_copy_is_from_a_stage_above_or_an_image),
        cmocka_unit_test(test_a_package_manager_is_not_left_to_ask),
        cmocka_unit_test(test_apt_is_not_for_scripts),
        cmocka_unit_test(test_an_update_is_in_the_run_of_its_install),
        cmocka_unit_test(test_sudo_useradd_and_pipes),
        cmocka_unit_test(test_manifests_are_copied_before_all_sources),
        cmocka_unit_test(test_comments_turn_them_off),
        cmocka_unit_test(test_they_are_looked_for_only_on_request),
        cmocka_unit_test(test_a_file_that_is_all_wrong_is_reported_to_a_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
