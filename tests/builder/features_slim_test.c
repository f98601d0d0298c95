/* Slimming: what an image does not hold that its Dockerfile made, what it holds nevertheless, and
 * that nobody who builds notices. */
#include "feature.h"

#include <stdio.h>
#include <string.h>

#include "base/argv.h"

#define LISTS  "mkdir -p /var/lib/apt/lists && echo index >/var/lib/apt/lists/deb_Packages"
#define SWITCH "slim: [build] slim = false in blaxel.toml keeps all as the Dockerfile makes it"

static void test_lists_and_caches_are_not_in_the_image(void **state)
{
    struct seen seen;
    struct attempt a = {
        .images = ALPINE,
        .slim = true,
        .dockerfile = "FROM alpine:3.20\n"
                      "RUN " LISTS " && mkdir -p /root/.npm/_cacache/a /root/.npm/_npx && "
                      "echo 12345678 >/root/.npm/_cacache/a/b && echo x >/root/.npm/_npx/run && "
                      "echo app >/app\n"};

    features_build(*state, &a, &seen);
    assert_files(&a, &seen,
                 "f 644 0:0 app \"app\\n\"\n"
                 "d 700 0:0 root\n"
                 "d 755 0:0 root/.npm\n"
                 "d 755 0:0 root/.npm/_cacache\n"
                 "d 755 0:0 root/.npm/_npx\n"
                 "f 644 0:0 root/.npm/_npx/run \"x\\n\"\n"
                 "d 755 0:0 var\n"
                 "d 755 0:0 var/lib\n"
                 "d 755 0:0 var/lib/apt\n"
                 "d 755 0:0 var/lib/apt/lists\n");
    assert_says(&a, "slim: removed 6 B of apt's package lists: 1 file in /var/lib/apt/lists\n");
    assert_says(&a, "slim: removed 9 B of npm's cache: 1 file in /root/.npm/_cacache\n");
    assert_says(&a, SWITCH);
    features_release(&a, &seen);
}

/* One digest: nothing differs, not even a time. */
static void test_off_gives_what_it_gave_before_and_runs_nothing_again(void **state)
{
    static const char text[] = "FROM alpine:3.20\n"
                               "ARG SOURCE_DATE_EPOCH\n"
                               "RUN " LISTS "\n"
                               "RUN cp /var/lib/apt/lists/deb_Packages /copy\n";
    CLEANUP(argv_release) struct argv args = ARGV_INIT;
    struct seen seen_whole, seen_slim, seen_again;
    struct attempt whole = {.images = ALPINE, .dockerfile = text, .build_args = &args};
    struct attempt slim = whole, again = whole;

    argv_push(&args, "SOURCE_DATE_EPOCH=1700000000", NULL);
    slim.slim = slim.cached = again.cached = true;
    features_build(*state, &whole, &seen_whole);
    features_build(*state, &slim, &seen_slim);
    features_build(*state, &again, &seen_again);
    assert_int_equal(slim.image.n_cached, 2);
    assert_int_equal(again.image.n_cached, 2);
    assert_string_equal(whole.digest, again.digest);
    assert_string_not_equal(whole.digest, slim.digest);
    assert_non_null(strstr(buf_str(&seen_whole.files), "lists/deb_Packages"));
    assert_null(strstr(buf_str(&seen_slim.files), "lists/deb_Packages"));
    assert_does_not_say(&whole, "slim:");
    features_release(&whole, &seen_whole);
    features_release(&slim, &seen_slim);
    features_release(&again, &seen_again);
}

static void test_later_steps_and_stages_see_everything(void **state)
{
    struct seen seen;
    struct attempt a = {.images = ALPINE,
                        .slim = true,
                        .dockerfile = "FROM alpine:3.20 AS first\n"
                                      "RUN " LISTS "\n"
                                      "RUN cat /var/lib/apt/lists/deb_Packages >/seen\n"
                                      "FROM first\n"
                                      "RUN cat /var/lib/apt/lists/deb_Packages >>/seen\n"
                                      "COPY --from=first /var/lib/apt/lists /copied\n"
                                      "RUN --mount=from=first,target=/m "
                                      "cat /m/var/lib/apt/lists/deb_Packages >>/seen\n"};

    features_build(*state, &a, &seen);
    assert_files(&a, &seen,
                 "d 755 0:0 copied\n"
                 "f 644 0:0 copied/deb_Packages \"index\\n\"\n"
                 "f 644 0:0 seen \"index\\nindex\\nindex\\n\"\n"
                 "d 755 0:0 var\n"
                 "d 755 0:0 var/lib\n"
                 "d 755 0:0 var/lib/apt\n"
                 "d 755 0:0 var/lib/apt/lists\n");
    features_release(&a, &seen);
}

static void test_what_is_copied_to_a_cache_is_wanted_there(void **state)
{
    static const char *const files[] = {"wheel", "1", NULL};
    struct seen seen;
    struct attempt a = {.images = ALPINE,
                        .files = files,
                        .slim = true,
                        .dockerfile = "FROM alpine:3.20\nCOPY wheel /root/.cache/pip/wheel\n"};

    features_build(*state, &a, &seen);
    assert_non_null(strstr(buf_str(&seen.files), "root/.cache/pip/wheel \"1\""));
    assert_does_not_say(&a, "slim:");
    features_release(&a, &seen);
}

static void test_a_link_to_a_cache_keeps_it_although_it_comes_later(void **state)
{
    struct seen seen;
    struct attempt a = {.images = ALPINE,
                        .slim = true,
                        .dockerfile =
                            "FROM alpine:3.20\n"
                            "RUN mkdir -p /root/.cache/uv/lib && echo 1 >/root/.cache/uv/lib/x\n"
                            "RUN ln -s ../root/.cache/uv/lib/x /bin/x\n"};

    features_build(*state, &a, &seen);
    assert_non_null(strstr(buf_str(&seen.files), "root/.cache/uv/lib/x \"1\\n\""));
    assert_says(&a, "slim: kept 2 B of uv's cache: 1 file in /root/.cache/uv, because \"bin/x\" "
                    "needs it\n");
    features_release(&a, &seen);
}

static void test_what_the_command_and_variables_name_stays(void **state)
{
    struct seen seen;
    struct attempt a = {
        .images = ALPINE,
        .slim = true,
        .dockerfile = "FROM alpine:3.20\n"
                      "ENV PIP_CACHE_DIR=/root/.cache/pip\n"
                      "RUN mkdir -p /root/.cache/pip /root/.cache/uv /root/.npm/_cacache && "
                      "echo 1 | tee /root/.cache/pip/p /root/.cache/uv/u /root/.npm/_cacache/n\n"
                      "CMD [\"/usr/bin/uvx\", \"server\"]\n"};

    features_build(*state, &a, &seen);
    assert_non_null(strstr(buf_str(&seen.files), "root/.cache/pip/p"));
    assert_non_null(strstr(buf_str(&seen.files), "root/.cache/uv/u"));
    assert_null(strstr(buf_str(&seen.files), "root/.npm/_cacache/n"));
    assert_says(&a, "because the variable PIP_CACHE_DIR names it\n");
    assert_says(&a, "because the image's command runs uvx\n");
    features_release(&a, &seen);
}

static void test_a_bases_files_stay_and_stay_hidden(void **state)
{
    const struct machine *m = *state;
    char text[512], image[128];
    struct seen seen;
    struct attempt base = {.images = ALPINE,
                           .push_to = "ws/features/slim-base",
                           .dockerfile =
                               "FROM alpine:3.20\n"
                               "RUN mkdir -p /var/lib/apt/lists/partial /root/.npm/_cacache"
                               " && echo old >/var/lib/apt/lists/old &&"
                               " echo 1 >/root/.npm/_cacache/owned\n"};
    struct attempt a = {.images = image, .slim = true, .dockerfile = text};

    attempt_run(m, &base);
    assert_built(&base);
    (void)snprintf(image, sizeof(image), "%s/ws/features/slim-base:latest", m->address);
    (void)snprintf(text, sizeof(text),
                   "FROM %s\n"
                   "RUN rm /var/lib/apt/lists/old && echo new >/var/lib/apt/lists/new\n"
                   "RUN chown -R 1000 /root/.npm/_cacache && echo 2 >/root/.npm/_cacache/more\n",
                   image);
    features_build(m, &a, &seen);
    assert_non_null(strstr(buf_str(&seen.files), "f 0 0:0 var/lib/apt/lists/.wh.old"));
    assert_null(strstr(buf_str(&seen.files), "lists/new"));
    assert_non_null(strstr(buf_str(&seen.files), "1000:0 root/.npm/_cacache/owned"));
    assert_non_null(strstr(buf_str(&seen.files), "root/.npm/_cacache/more"));
    assert_says(&a, "because the layers below have other files there\n");
    attempt_release(&base);
    features_release(&a, &seen);
}

/* The name that is left carries the content. */
static void test_a_hard_link_out_of_a_cache_keeps_its_content(void **state)
{
    struct seen seen;
    struct attempt a = {
        .images = ALPINE,
        .slim = true,
        .dockerfile = "FROM alpine:3.20\n"
                      "RUN mkdir -p /pnpm/store /srv/node_modules && echo data >/pnpm/store/a && "
                      "ln /pnpm/store/a /srv/node_modules/a\n"};

    features_build(*state, &a, &seen);
    assert_files(&a, &seen,
                 "d 755 0:0 pnpm\n"
                 "d 755 0:0 pnpm/store\n"
                 "d 755 0:0 srv\n"
                 "d 755 0:0 srv/node_modules\n"
                 "f 644 0:0 srv/node_modules/a \"data\\n\"\n");
    assert_says(&a, "slim: removed 0 B of pnpm's store: 1 file in /pnpm/store\n");
    features_release(&a, &seen);
}

static void test_equal_files_are_hard_links_unless_they_may_be_written_to(void **state)
{
    struct seen seen;
    struct attempt a = {
        .images = ALPINE,
        .slim = true,
        .dockerfile =
            "FROM alpine:3.20\n"
            "RUN mkdir -p /lib/m /var/data && "
            "for f in /lib/m/a /lib/m/b /lib/m/other /lib/m/a.db /lib/m/b.db "
            "/var/data/a /var/data/b; do yes 0123456789 | head -c 5000 >$f; done && "
            "chmod 600 /lib/m/other && find /lib/m /var/data | xargs touch -d @1600000000\n"};
    const char *files;

    features_build(*state, &a, &seen);
    files = buf_str(&seen.files);
    assert_non_null(strstr(files, "h lib/m/b = lib/m/a\n"));
    assert_null(strstr(strstr(files, "h lib/m/b") + 1, "\nh "));
    assert_non_null(strstr(files, "f 600 0:0 lib/m/other"));
    assert_non_null(strstr(files, "f 644 0:0 lib/m/b.db"));
    assert_non_null(strstr(files, "f 644 0:0 var/data/b"));
    assert_says(&a, "slim: saved 5.0 kB by hard links among equal files: 1 file\n");
    features_release(&a, &seen);
}

/* On two empty caches, and from a full one. */
static void test_two_builds_and_a_cached_one_give_one_digest(void **state)
{
    CLEANUP(argv_release) struct argv args = ARGV_INIT;
    struct seen seen[3];
    struct attempt a[3];

    argv_push(&args, "SOURCE_DATE_EPOCH=1700000000", NULL);
    for (size_t i = 0; i < 3; i++) {
        a[i] = (struct attempt){
            .images = ALPINE,
            .slim = true,
            .workspace = i == 0 ? "ws" : "ws2",
            .push_to = i == 0 ? "ws/features/twice" : "ws2/features/twice",
            .cached = i == 2,
            .build_args = &args,
            .dockerfile = "FROM alpine:3.20\n"
                          "ARG SOURCE_DATE_EPOCH\n"
                          "RUN " LISTS " && mkdir -p /lib/m && yes | head -c 5000 >/lib/m/a && "
                          "sleep 1 && cp /lib/m/a /lib/m/b\n"
                          "RUN echo 2 >/b\n"};
        features_build(*state, &a[i], &seen[i]);
        assert_non_null(strstr(buf_str(&seen[i].files), "h lib/m/b = lib/m/a\n"));
        assert_says(&a[i], "slim: removed 6 B of apt's package lists");
        assert_string_equal(a[i].digest, a[0].digest);
    }
    assert_int_equal(a[2].image.n_cached, 2);
    for (size_t i = 0; i < 3; i++)
        features_release(&a[i], &seen[i]);
}

/* A rebuilt image may link to what an earlier one had no need of: its layer is made again. */
static void test_a_cached_layer_is_made_again_when_a_new_step_needs_more_of_it(void **state)
{
    static const char first[] =
        "FROM alpine:3.20\n"
        "RUN mkdir -p /root/.cache/uv && echo 1 >/root/.cache/uv/x && echo again\n";
    char second[512];
    struct seen seen[3];
    struct attempt a[3] = {{.images = ALPINE, .slim = true, .dockerfile = first},
                           {.images = ALPINE, .slim = true, .cached = true, .dockerfile = second},
                           {.images = ALPINE, .slim = true, .cached = true, .dockerfile = first}};

    (void)snprintf(second, sizeof(second), "%sRUN ln -s /root/.cache/uv /uv\n", first);
    for (size_t i = 0; i < 3; i++) {
        features_build(*state, &a[i], &seen[i]);
        assert_int_equal(strstr(buf_str(&seen[i].files), ".cache/uv/x") != NULL, i == 1);
    }
    assert_int_equal(a[1].image.n_cached, 1);
    assert_string_equal(a[0].image.layers[a[0].image.n_layers - 1].digest,
                        a[2].image.layers[a[2].image.n_layers - 1].digest);
    for (size_t i = 0; i < 3; i++)
        features_release(&a[i], &seen[i]);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists_and_caches_are_not_in_the_image),
        cmocka_unit_test(test_off_gives_what_it_gave_before_and_runs_nothing_again),
        cmocka_unit_test(test_later_steps_and_stages_see_everything),
        cmocka_unit_test(test_what_is_copied_to_a_cache_is_wanted_there),
        cmocka_unit_test(test_a_link_to_a_cache_keeps_it_although_it_comes_later),
        cmocka_unit_test(test_what_the_command_and_variables_name_stays),
        cmocka_unit_test(test_a_bases_files_stay_and_stay_hidden),
        cmocka_unit_test(test_a_hard_link_out_of_a_cache_keeps_its_content),
        cmocka_unit_test(test_equal_files_are_hard_links_unless_they_may_be_written_to),
        cmocka_unit_test(test_two_builds_and_a_cached_one_give_one_digest),
        cmocka_unit_test(test_a_cached_layer_is_made_again_when_a_new_step_needs_more_of_it),
    };

    builder_jail_main(argc, argv, machine_inner);
    return cmocka_run_group_tests(tests, machine_start, machine_stop);
}
