"""An image in a registry: its manifest, its configuration, and the files that a container of it sees.
"""
import functools
import gzip
import hashlib
import io
import json
import posixpath
import sys
import pathlib
import tarfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "e2e"))

from kiln_server import http_request  # noqa: E402

DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
ACCEPT = f"application/vnd.oci.image.manifest.v1+json, {DOCKER}"


def get(registry, repository, what):
    answer = http_request("GET", f"http://{registry}/v2/{repository}/{what}",
                          headers={"Accept": ACCEPT})
    assert answer.status == 200, (repository, what, answer)
    return answer


def manifest_of(registry, repository, reference):
    return get(registry, repository, f"manifests/{reference}").json


def config_of(registry, repository, manifest):
    return get(registry, repository, f"blobs/{manifest['config']['digest']}").json


def tag_anew(registry, repository, reference, new_repository, new_tag):
    """The same image under another name."""
    answer = get(registry, repository, f"manifests/{reference}")
    for blob in [answer.json["config"], *answer.json["layers"]]:
        made = http_request("POST", f"http://{registry}/v2/{new_repository}/blobs/uploads/"
                            f"?mount={blob['digest']}&from={repository}")
        assert made.status == 201, made
    put = http_request("PUT", f"http://{registry}/v2/{new_repository}/manifests/{new_tag}",
                       answer.body, {"Content-Type": answer.headers["Content-Type"]})
    assert put.status == 201, put


@functools.lru_cache(maxsize=64)
def layer_members(registry, repository, digest):
    """(path, what it is) of a layer, in order; a hard link's is ("link", path)."""
    data = get(registry, repository, f"blobs/{digest}").body
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return [(clean(m.name), member(tar, m)) for m in tar]


def clean(name):
    return posixpath.normpath("/" + name).replace("//", "/")


def member(tar, m):
    owner = (oct(m.mode & 0o7777), m.uid, m.gid)
    if m.islnk():
        return ("link", clean(m.linkname))
    if m.isreg():
        digest = hashlib.sha256(tar.extractfile(m).read()).hexdigest()[:16]
        return ("file", *owner, m.size, digest)
    if m.isdir():
        return ("dir", *owner)
    if m.issym():
        return ("symlink", m.uid, m.gid, m.linkname)
    return ("other", m.type, *owner, m.devmajor, m.devminor)


def files_of(registry, repository, manifest):
    """{path: what it is}, layers over one another (OCI image specification, layer.md)."""
    files = {}
    for layer in manifest["layers"]:
        lower = dict(files)
        for path, what in layer_members(registry, repository, layer["digest"]):
            put(files, lower, path, what)
    return files


def remove(files, path, itself=True, only=None):
    for p in [p for p in files if (p == path and itself) or p.startswith(path.rstrip("/") + "/")]:
        if only is None or (p in only and files[p] is only[p]):
            del files[p]


def put(files, lower, path, what):
    """A whiteout hides what lower layers have, and nothing of its own layer."""
    folder, name = posixpath.split(path)
    if name == ".wh..wh..opq":
        remove(files, folder, itself=False, only=lower)
    elif name.startswith(".wh."):
        remove(files, posixpath.join(folder, name[4:]), only=lower)
    else:
        if what[0] != "dir" and files.get(path, ("",))[0] == "dir":
            remove(files, path)
        files[path] = files[what[1]] if what[0] == "link" else what


def show(config):
    return json.dumps(config, sort_keys=True)
