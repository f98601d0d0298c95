/* base/toml — toml++ behind a C function.
 *
 * toml++ bounds nested values, but not the parts of a dotted key, and its tables free themselves by
 * recursion: "a.a.a…" of a megabyte would overflow the stack.  So dots are counted first, by a scan
 * that knows as much of TOML as it takes to tell a key from a string or a comment.
 *
 * toml++ 3.3 also asserts what malformed text can make false ("[ {"): its assertions stay on in
 * every build and throw, and the throw is told as the syntax error that it is. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <new>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace
{
struct assertion_failed {
};

[[noreturn]] void fail_assertion()
{
    throw assertion_failed();
}
} /* namespace */

/* The header alone: the shared library is built with other limits, and with exceptions. */
#undef TOML_HEADER_ONLY
#undef TOML_SHARED_LIB
#define TOML_HEADER_ONLY       1
#define TOML_EXCEPTIONS        0
#define TOML_MAX_NESTED_VALUES 32
#undef NDEBUG
#define TOML_ASSERT(expr) ((expr) ? (void)0 : fail_assertion())
#include <toml++/toml.h>

#include "base/toml.h"

static_assert(TOML_MAX_NESTED_VALUES == TOML_DEPTH_MAX, "one limit for both");

namespace
{

/* ---- dots ---- */

/* One or two quotes may stand before the three that close a block: a run of five is one end. */
size_t skip_quotes(std::string_view text, size_t at, char quote)
{
    for (int more = 0; more < 2 && at < text.size() && text[at] == quote; more++)
        at++;
    return at;
}

/* Where the string that begins at `at` ends: after its closing quotes, or at the text's end. */
size_t skip_string(std::string_view text, size_t at)
{
    const char quote = text[at];
    const bool block = text.substr(at, 3) == std::string(3, quote);

    at += block ? 3 : 1;
    while (at < text.size()) {
        if (text[at] == '\\' && quote == '"')
            at += 2;
        else if (block && text.substr(at, 3) == std::string(3, quote))
            return skip_quotes(text, at + 3, quote);
        else if (!block && (text[at] == quote || text[at] == '\n'))
            return at + 1;
        else
            at++;
    }
    return text.size();
}

/* The line of the first key with too many parts, 0 when there is none. */
int find_deep_key(std::string_view text)
{
    size_t at = 0;
    int dots = 0;

    while (at < text.size()) {
        const char c = text[at];

        if (c == '"' || c == '\'') {
            at = skip_string(text, at);
            continue;
        }
        if (c == '#')
            at = std::min(text.find('\n', at), text.size());
        else
            at++;
        if (c == '.')
            dots++;
        else if (c == '\n' || c == '=' || c == ',' || c == '[' || c == '{')
            dots = 0;
        if (dots >= TOML_DEPTH_MAX)
            return 1 + static_cast<int>(std::count(text.begin(), text.begin() + at, '\n'));
    }
    return 0;
}

/* ---- the walk ---- */

struct walk {
    const struct toml_visitor *visitor;
    struct error *err;
};

bool is_bare(std::string_view key)
{
    if (key.empty())
        return false;
    for (char c : key)
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '-'))
            return false;
    return true;
}

/* A key as it may stand in a message: whatever it holds, one line of printable text. */
std::string key_text(std::string_view key)
{
    std::string quoted = "\"";

    if (is_bare(key))
        return std::string(key);
    for (char c : key) {
        if (c == '"' || c == '\\')
            quoted += '\\';
        if (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f) {
            quoted += c;
        } else {
            char escape[8];

            (void)snprintf(escape, sizeof(escape), "\\u%04x", static_cast<unsigned>(c));
            quoted += escape;
        }
    }
    return quoted + '"';
}

template <typename T> std::string date_text(const T &value)
{
    std::ostringstream out;

    out << value;
    return out.str();
}

int visit_leaf(const walk &w, const toml::node &node, const std::string &path)
{
    struct toml_leaf leaf = {};
    std::string text;

    leaf.path = path.c_str();
    leaf.line = static_cast<int>(node.source().begin.line);
    if (const auto *s = node.as_string()) {
        leaf.type = TOML_STRING;
        text = s->get();
    } else if (const auto *i = node.as_integer()) {
        leaf.type = TOML_INTEGER;
        leaf.integer = i->get();
    } else if (const auto *f = node.as_floating_point()) {
        leaf.type = TOML_FLOAT;
        leaf.real = f->get();
    } else if (const auto *b = node.as_boolean()) {
        leaf.type = TOML_BOOL;
        leaf.boolean = b->get();
    } else {
        leaf.type = TOML_DATETIME;
        if (const auto *d = node.as_date())
            text = date_text(d->get());
        else if (const auto *t = node.as_time())
            text = date_text(t->get());
        else if (const auto *dt = node.as_date_time())
            text = date_text(dt->get());
    }
    leaf.text = text.c_str();
    leaf.text_len = text.size();
    return w.visitor->leaf(w.visitor->self, &leaf, w.err);
}

int visit(const walk &w, const toml::node &node, const std::string &path, int depth)
{
    if (depth > TOML_DEPTH_MAX)
        return error_set(w.err, ERR_LIMIT, "line %d: nested deeper than %d levels",
                         static_cast<int>(node.source().begin.line), TOML_DEPTH_MAX);
    if (const auto *table = node.as_table()) {
        for (const auto &[key, value] : *table)
            if (visit(w, value, path + (path.empty() ? "" : ".") + key_text(key.str()), depth + 1) <
                0)
                return -1;
        return 0;
    }
    if (const auto *array = node.as_array()) {
        size_t i = 0;

        for (const auto &value : *array)
            if (visit(w, value, path + "[" + std::to_string(i++) + "]", depth + 1) < 0)
                return -1;
        return 0;
    }
    return visit_leaf(w, node, path);
}

int parse_and_visit(std::string_view text, const walk &w)
{
    const toml::parse_result result = toml::parse(text);

    if (!result) {
        const toml::parse_error &e = result.error();

        return error_set(w.err, ERR_INPUT, "line %d, column %d: %.*s",
                         static_cast<int>(e.source().begin.line),
                         static_cast<int>(e.source().begin.column),
                         static_cast<int>(e.description().size()), e.description().data());
    }
    return visit(w, result.table(), "", 0);
}

bool breaks_parser(std::string_view text)
{
    try {
        (void)toml::parse(text);
        return false;
    } catch (const assertion_failed &) {
        return true;
    }
}

/* The parser reads from front to back, so the least number of lines that breaks it ends with the
 * one at fault. */
int report_assertion(std::string_view text, struct error *err)
{
    std::vector<size_t> ends;
    size_t low = 0;
    size_t high;

    for (size_t at = text.find('\n'); at != text.npos; at = text.find('\n', at + 1))
        ends.push_back(at + 1);
    ends.push_back(text.size());
    high = ends.size() - 1;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;

        if (breaks_parser(text.substr(0, ends[middle])))
            high = middle;
        else
            low = middle + 1;
    }
    return error_set(err, ERR_INPUT, "line %zu: malformed key or value", low + 1);
}

int walk_text(std::string_view text, const walk &w)
{
    const int deep = find_deep_key(text);

    if (deep)
        return error_set(w.err, ERR_LIMIT, "line %d: nested deeper than %d levels", deep,
                         TOML_DEPTH_MAX);
    try {
        return parse_and_visit(text, w);
    } catch (const assertion_failed &) {
        return report_assertion(text, w.err);
    }
}

} /* namespace */

extern "C" int toml_walk(const char *text, size_t len, const struct toml_visitor *v,
                         struct error *err)
{
    try {
        if (len > TOML_TEXT_MAX)
            return error_set(err, ERR_LIMIT, "the document is larger than %d bytes", TOML_TEXT_MAX);
        return walk_text(std::string_view(len ? text : "", len), walk{v, err});
    } catch (const std::bad_alloc &) {
        return error_set(err, ERR_SYSTEM, "read a TOML document: out of memory");
    } catch (...) {
        return error_set(err, ERR_SYSTEM, "read a TOML document: the parser gave up");
    }
}
