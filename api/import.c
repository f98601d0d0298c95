/* api/import — see the header.
 *
 * Credentials never reach the database: they wait in memory for the build, which is known by its id
 * before it is there to be taken. */
#include "api/import.h"

#include <string.h>
#include <strings.h>

#include "dockerfile/dockerfile.h"

void import_release(struct import *i)
{
    if (i->docker_config)
        explicit_bzero(i->docker_config, strlen(i->docker_config));
    free(i->docker_config);
    i->docker_config = NULL;
}

/* "registry.example.com:5000" of "registry.example.com:5000/app": what stands before the first
 * slash, when there is a dot in it. */
static bool host_of(const char *image, char ret[256])
{
    size_t len = strcspn(image, "/");

    if (!image[len] || len >= 256 || !memchr(image, '.', len))
        return false;
    (void)snprintf(ret, 256, "%.*s", (int)len, image);
    return true;
}

static int read_image(struct api_call *c, const json_t *image, struct import *ret, bool *ret_fine,
                      struct error *err)
{
    const char *text = json_string_value(image);
    struct dockerfile_reference parsed;
    struct error why = ERROR_INIT;

    *ret_fine = text && strlen(text) < sizeof(ret->image) &&
                dockerfile_parse_reference(text, &parsed, &why) == 0;
    if (*ret_fine) {
        (void)snprintf(ret->image, sizeof(ret->image), "%s", text);
        return 0;
    }
    return api_refuse_of_kind(c, "INVALID_IMAGE", text ? text : "",
                              "This is not the name of an image: it must be a string such as "
                              "docker.io/library/alpine:3.20.",
                              err);
}

static bool read_config(struct api_call *c, const json_t *docker_config, struct import *ret)
{
    CLEANUP(buf_release) struct buf clean = BUF_INIT(CREDENTIALS_MAX);
    const char *text = json_string_value(docker_config);
    struct error why = ERROR_INIT;

    if (!docker_config || json_is_null(docker_config))
        return true;
    if (!text || upload_clean_docker_config(text, strlen(text), &clean, &why) < 0) {
        api_refuse(c->resp, 400, "invalid_docker_config",
                   "The field dockerConfig must be a string that holds a docker config.json, such "
                   "as {\"auths\":{\"registry.example.com\":{\"auth\":\"…\"}}}.");
        return false;
    }
    ret->docker_config = buf_take(&clean);
    return true;
}

int api_import_read(struct api_call *c, const json_t *image, const json_t *docker_config, bool skip,
                    struct import *ret, struct error *err)
{
    char host[256];
    bool fine;

    *ret = (struct import){.kind = IMPORT_NOTHING};
    if (read_image(c, image, ret, &fine, err) < 0)
        return -1;
    if (!fine || !read_config(c, docker_config, ret))
        return 0;
    if (skip || !host_of(ret->image, host) || strcasecmp(host, c->config->registry_name) == 0)
        ret->kind = IMPORT_AS_IS;
    else
        ret->kind = IMPORT_PULL;
    return 0;
}

int api_import_prepare(struct api_call *c, const struct import *i, char ret_id[BUILD_ID],
                       char ret_source[BUILD_SOURCE], struct error *err)
{
    state_build_draw_id(ret_id);
    (void)snprintf(ret_source, BUILD_SOURCE, BUILD_IMPORT "%s", i->image);
    if (!i->docker_config)
        return 0;
    if (!c->config->credentials_dir)
        return error_set(err, ERR_SYSTEM, "keep credentials: there is no place for them");
    return credentials_keep(c->config->credentials_dir, ret_id, i->docker_config,
                            strlen(i->docker_config), err);
}
