/* dockerfile/generate/node_package — package.json, and the one place here that reads JSON. */
#include <jansson.h>
#include <string.h>

#include "base/text.h"
#include "dockerfile/generate/node.h"

#define PACKAGE_MAX (1 << 20)
#define NAMES_MAX   5000 /* keys or elements of one list */
/* jansson goes into itself for each level, 2048 deep; a lock file of npm 6 has a few dozen. */
#define DEPTH_MAX 200

void node_package_release(struct node_package *p)
{
    json_decref(p->root);
    p->root = NULL;
}

static bool is_too_deep(const char *text, size_t len)
{
    size_t depth = 0;
    bool quoted = false;

    for (size_t i = 0; i < len; i++) {
        if (quoted && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            quoted = !quoted;
        else if (!quoted && (text[i] == '{' || text[i] == '['))
            depth++;
        else if (!quoted && (text[i] == '}' || text[i] == ']') && depth > 0)
            depth--;
        if (depth > DEPTH_MAX)
            return true;
    }
    return false;
}

/* npm reads these as strings by name, and so does everything here. */
static int check_strings(const json_t *root, const char *path, struct error *err)
{
    static const char *const sections[] = {"scripts", "dependencies", "devDependencies",
                                           "optionalDependencies"};

    for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
        json_t *section = json_object_get(root, sections[i]), *value;
        const char *key;

        if (section && !json_is_object(section))
            return error_set(err, ERR_INPUT, "%s in %s is not an object", sections[i], path);
        json_object_foreach (section, key, value)
            if (!json_is_string(value))
                return error_set(err, ERR_INPUT, "%s.%s in %s is not a string", sections[i], key,
                                 path);
    }
    return 0;
}

int node_package_read(struct generator *g, const char *path, struct node_package *ret,
                      bool *ret_found, struct error *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT(PACKAGE_MAX);
    CLEANUP(node_package_release) struct node_package package = {NULL};
    json_error_t fault;
    bool found;

    if (generator_read(g, path, &text, &found, err) < 0)
        return -1;
    *ret_found = found;
    if (!found)
        return 0;
    if (is_too_deep(buf_str(&text), text.len))
        return error_set(err, ERR_LIMIT, "%s: more than %d levels", path, DEPTH_MAX);
    package.root = json_loadb(buf_str(&text), text.len, 0, &fault);
    if (!package.root)
        return error_set(err, ERR_INPUT, "%s line %d: %s", path, fault.line, fault.text);
    if (!json_is_object(package.root))
        return error_set(err, ERR_INPUT, "%s: not a JSON object", path);
    if (check_strings(package.root, path, err) < 0)
        return -1;
    *ret = package;
    package.root = NULL;
    return 0;
}

/* ---- questions ---- */

static const json_t *find(const struct node_package *p, const char *section)
{
    return section ? json_object_get(p->root, section) : p->root;
}

const char *node_package_text(const struct node_package *p, const char *section, const char *key)
{
    const char *text = json_string_value(json_object_get(find(p, section), key));

    return text && text[strspn(text, " \t\r\n")] ? text : NULL;
}

void node_package_keys(const struct node_package *p, const char *section, struct argv *ret)
{
    json_t *object = json_object_get(p->root, section), *value;
    const char *key;

    json_object_foreach (object, key, value)
        if (ret->n < NAMES_MAX)
            argv_push1(ret, key);
}

void node_package_list(const struct node_package *p, const char *key, struct argv *ret)
{
    const json_t *list = json_object_get(p->root, key), *value;
    size_t i;

    if (json_is_object(list))
        list = json_object_get(list, "packages");
    json_array_foreach (list, i, value)
        if (json_is_string(value) && ret->n < NAMES_MAX)
            argv_push1(ret, json_string_value(value));
}

bool node_package_depends(const struct node_package *p, const char *name)
{
    return node_package_text(p, "dependencies", name) ||
           node_package_text(p, "optionalDependencies", name);
}

bool node_package_develops(const struct node_package *p, const char *name)
{
    return node_package_text(p, "devDependencies", name) && !node_package_depends(p, name);
}

const char *node_package_install_script(const struct node_package *p)
{
    static const char *const names[] = {"preinstall", "install", "postinstall",
                                        "preprepare", "prepare", "postprepare"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (node_package_text(p, "scripts", names[i]))
            return names[i];
    return NULL;
}

const char *node_package_local_dependency(const struct node_package *p)
{
    static const char *const sections[] = {"dependencies", "devDependencies",
                                           "optionalDependencies"};
    static const char *const kinds[] = {"file:", "link:", "portal:", "./", "../"};

    for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
        json_t *section = json_object_get(p->root, sections[i]), *value;
        const char *key;

        json_object_foreach (section, key, value)
            for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
                if (text_starts(json_string_value(value), kinds[k]))
                    return sections[i];
    }
    return NULL;
}

/* Absent is as good as empty. */
static bool section_differs(const json_t *a, const json_t *b, const char *section)
{
    const json_t *one = json_object_get(a, section), *other = json_object_get(b, section);

    if (json_object_size(one) == 0 && json_object_size(other) == 0)
        return false;
    return !json_equal(one, other);
}

bool node_package_lock_differs(const struct node_package *p, const char *text, size_t len)
{
    json_t *lock = is_too_deep(text, len) ? NULL : json_loadb(text, len, 0, NULL);
    const json_t *root = json_object_get(json_object_get(lock, "packages"), "");
    bool differs = root && (section_differs(p->root, root, "dependencies") ||
                            section_differs(p->root, root, "devDependencies"));

    json_decref(lock);
    return differs;
}
