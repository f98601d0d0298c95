/* Anything may come as an image's configuration, and as a link in a layer: the configuration up to
 * a NUL byte, the link's path up to another, its target behind that. */
#include <stdint.h>
#include <string.h>

#include "base/path.h"
#include "builder/slim_pins.h"

#define INPUT_MAX 4096

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* A place is a part of the path, and one of which all above leads to it. */
static void ask_place(const struct slim_config *c, const char *path, const struct slim_pins *pins)
{
    const struct slim_rule *rule = NULL;
    size_t len = 0;
    enum slim_relation r = slim_places_find(&c->places, path, &rule, &len);
    char place[INPUT_MAX];

    if (r < SLIM_AT)
        return;
    must(rule && len > 0 && len <= strlen(path) && (path[len] == '/' || !path[len]));
    must((r == SLIM_AT) == !path[len]);
    (void)snprintf(place, sizeof(place), "%.*s", (int)len, path);
    must(slim_places_find(&c->places, place, &rule, &len) == SLIM_AT);
    must(slim_pins_find(pins, rule, place) != NULL);
    (void)slim_config_runs(c, rule);
    *strrchr(place, '/') = '\0';
    must(slim_places_find(&c->places, place, &rule, &len) != SLIM_ELSEWHERE);
}

static void ask_link(const struct slim_config *c, const char *path, const char *target)
{
    CLEANUP(buf_release) struct buf clean = BUF_INIT(3 * INPUT_MAX);
    CLEANUP(slim_pins_release) struct slim_pins pins = {.many = false};
    CLEANUP(slim_pins_release) struct slim_pins all = {.many = false};

    slim_pins_add_link(&pins, &c->places, path, target);
    slim_pins_add_all(&all, &c->pins);
    slim_pins_add_all(&all, &pins);
    must(all.at.n == all.by.n);
    path_join(&clean, "", target);
    if (*target == '/')
        ask_place(c, buf_str(&clean) + strspn(buf_str(&clean), "/"), &all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(slim_config_release) struct slim_config c = {.pins = {.many = false}};
    struct error err = ERROR_INIT;
    char text[INPUT_MAX + 2];
    const char *path, *target;

    if (size >= INPUT_MAX)
        return 0;
    memcpy(text, data, size);
    memset(text + size, 0, 2); /* so that there are three */
    path = text + strlen(text) + (strlen(text) < size);
    target = path + strlen(path) + (path + strlen(path) < text + size);
    must(slim_config_read(text, &c, &err) == 0);
    ask_link(&c, path, target);
    return 0;
}
