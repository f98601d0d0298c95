/* uploads/git_modules — what a .gitmodules file says (gitmodules(5)); it is a repository's, and so
 * anybody's. */
#ifndef UPLOADS_GIT_MODULES_H
#define UPLOADS_GIT_MODULES_H

#include "uploads/uploads.h"

/* The address of the submodule at path ("libs/a"), as it stands there.  False: it names none. */
bool git_modules_find(const char *text, const char *path, char ret_url[UPLOAD_GIT_TEXT]);

/* The address that url means in a repository that is at base: itself, or with "./" or "../" another
 * one of the same server.  ERR_INPUT: it leads out of that. */
MUST_CHECK int git_modules_resolve(const char *base, const char *url, char ret[UPLOAD_GIT_TEXT],
                                   struct error *err);

#endif
