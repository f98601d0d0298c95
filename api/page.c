/* api/page — the page at /: files of the folder page/, which are compiled in.
 *
 * The page is nothing but another client of the API: no key is needed to load it, and it asks for
 * one.  Browsers are told to run and load nothing but these files (Content Security Policy level
 * 3), so that a name or a log that looks like markup stays text even if the page had a hole. */
#include <string.h>

#include "api/etag.h"

#define CSP                                                                                        \
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' " \
    "data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

#define HTML "text/html; charset=utf-8"
#define CSS  "text/css; charset=utf-8"
#define JS   "text/javascript; charset=utf-8"

extern const char api_page_index_html[], api_page_page_css[], api_page_main_js[],
    api_page_server_js[], api_page_dom_js[], api_page_text_js[], api_page_builds_js[],
    api_page_build_js[], api_page_steps_js[], api_page_log_js[], api_page_images_js[],
    api_page_templates_js[];

static const struct file {
    const char *name, *type, *text;
} files[] = {
    {"", HTML, api_page_index_html},       {"page.css", CSS, api_page_page_css},
    {"main.js", JS, api_page_main_js},     {"server.js", JS, api_page_server_js},
    {"dom.js", JS, api_page_dom_js},       {"text.js", JS, api_page_text_js},
    {"builds.js", JS, api_page_builds_js}, {"build.js", JS, api_page_build_js},
    {"steps.js", JS, api_page_steps_js},   {"log.js", JS, api_page_log_js},
    {"images.js", JS, api_page_images_js}, {"templates.js", JS, api_page_templates_js},
};

static const struct file *find(const char *name)
{
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        if (strcmp(files[i].name, name) == 0)
            return &files[i];
    return NULL;
}

int api_get_page(struct api_call *c, struct error *err)
{
    const struct file *f = find(c->args[0] ? c->args[0] : "");
    char etag[ETAG_SIZE];

    if (!f) {
        api_refuse(c->resp, 404, "not_found", "The page has no such file. It begins at /.");
        return 0;
    }
    api_response_header(c->resp, "Content-Security-Policy", CSP);
    api_response_header(c->resp, "Referrer-Policy", "no-referrer");
    etag_of(f->text, strlen(f->text), etag);
    if (etag_answers(c, etag)) /* a new Kiln brings a new page */
        return 0;
    c->resp->status = 200;
    api_response_header(c->resp, "Content-Type", f->type);
    buf_adds(&c->resp->body, f->text);
    return buf_check(&c->resp->body, "the page", err);
}
