"""A base of OCI's format, behind an index, with a layer packed by gzip, one by zstd and one not at all:
what is built on it has these layers as they came, under their right names, and a client that reads
names believes them.  A mirror may be a cache that pulls through."""
import gzip
import hashlib
import io
import json
import subprocess
import tarfile
import unittest
import urllib.parse

import kiln_server
from kiln_server import Bases, Kiln, Registry, http_request, zip_of

OCI = "application/vnd.oci.image"
DOCKER = "application/vnd.docker"
LAYER = f"{OCI}.layer.v1.tar"


def tar_of(name, content):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(content), 0o755
        tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def zstd(tar, directory):
    """The blob and what is in it: bsdtar writes the tar anew, and to a pipe with a padding."""
    def bsdtar(name, *words):
        subprocess.run(["bsdtar", *words, "-cf", directory / name, "@-"], input=tar, check=True)
        return (directory / name).read_bytes()
    return bsdtar("zstd", "--zstd"), bsdtar("plain")


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Cache(Registry):
    """docker-registry as a cache of another registry."""

    def __init__(self, directory, url):
        self.extra = {"proxy": {"remoteurl": url}}
        super().__init__(directory)


class Formats(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.bases = Bases(kiln_server.KEEP / "bases")
        cls.addClassCleanup(cls.bases.stop)
        cls.kiln = Kiln(cls.bases)
        cls.addClassCleanup(cls.kiln.remove)
        (cls.kiln.directory / "bases").mkdir()
        cls.registry = Registry(cls.kiln.directory / "bases")
        cls.addClassCleanup(cls.registry.stop)
        cls.cache = Cache(cls.kiln.directory / "cache", f"http://127.0.0.1:{cls.registry.port}")
        cls.addClassCleanup(cls.cache.stop)
        cls.kiln.mirrors += (f" formats.example=127.0.0.1:{cls.registry.port},insecure"
                             f" far.example=127.0.0.1:{cls.cache.port},insecure")
        cls.kiln.start()

    def ask(self, method, path, data=None, **headers):
        url = urllib.parse.urljoin(f"http://127.0.0.1:{self.registry.port}/v2/base/", path)
        answer = http_request(method, url, data, headers)
        self.assertLess(answer.status, 300, answer)
        return answer

    def put_blob(self, data, kind):
        where = self.ask("POST", "blobs/uploads/").headers["Location"]
        self.ask("PUT", f"{where}{'&' if '?' in where else '?'}digest={digest_of(data)}", data,
                 **{"Content-Type": "application/octet-stream"})
        return {"mediaType": kind, "digest": digest_of(data), "size": len(data)}

    def put_manifest(self, tag, kind, **members):
        data = json.dumps({"schemaVersion": 2, "mediaType": kind, **members}).encode()
        self.ask("PUT", f"manifests/{tag or digest_of(data)}", data, **{"Content-Type": kind})
        return {"mediaType": kind, "digest": digest_of(data), "size": len(data)}

    def push(self, tag, layers):
        """layers: media type, blob and tar of each."""
        config = {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/one"]},
                  "rootfs": {"type": "layers", "diff_ids": [digest_of(tar) for _, _, tar in layers]}}
        image = self.put_manifest(
            None, f"{OCI}.manifest.v1+json",
            config=self.put_blob(json.dumps(config).encode(), f"{OCI}.config.v1+json"),
            layers=[self.put_blob(blob, kind) for kind, blob, _ in layers])
        image["platform"] = {"architecture": "amd64", "os": "linux"}
        self.put_manifest(tag, f"{OCI}.index.v1+json", manifests=[image])
        return [digest_of(blob) for _, blob, _ in layers]

    def build(self, name, tag, registry="formats.example"):
        self.kiln.deploy(name, zip_of({
            "Dockerfile": f"FROM {registry}/base:{tag}\nCOPY f /four\nHEALTHCHECK CMD true\n"
                          "ENTRYPOINT [\"/one\"]\n", "f": "4"}))
        return self.kiln.manifest(name).json

    def copied(self, name):
        """The names of the files in the image, as skopeo packs them anew by the layers' names."""
        to = self.kiln.directory / f"copy-{name}"
        subprocess.run(["skopeo", "copy", "--quiet", "--src-tls-verify=false", "--src-creds",
                        f"acme:{self.kiln.key()}", "--dest-decompress",
                        f"docker://{self.kiln.registry}/acme/sandbox/{name}:latest", f"dir:{to}"],
                       check=True, timeout=120)
        layers = json.loads((to / "manifest.json").read_text())["layers"]
        names = set()
        for layer in layers:
            with tarfile.open(to / layer["digest"].removeprefix("sha256:"), "r:") as tar:
                names.update("/" + member.name for member in tar)
        return names

    def test_what_dockers_format_has_is_pushed_in_that(self):
        one, three = tar_of("one", b"1"), tar_of("three", b"3")
        blobs = self.push("plain", [(f"{LAYER}+gzip", gzip.compress(one, mtime=0), one), (LAYER, three, three)])
        manifest = self.build("plain", "plain")
        self.assertEqual(manifest["mediaType"], f"{DOCKER}.distribution.manifest.v2+json")
        self.assertEqual([layer["digest"] for layer in manifest["layers"][:2]], blobs)
        self.assertEqual([layer["mediaType"].partition(".tar")[2] for layer in manifest["layers"]][:3],
                         [".gzip", "", ".gzip"])
        self.assertLessEqual({"/one", "/three", "/four"}, self.copied("plain"))

    def test_a_layer_by_zstd_makes_an_image_of_ocis(self):
        one, three = tar_of("one", b"1"), tar_of("three", b"3")
        blob, two = zstd(tar_of("two", b"2" * 100), self.kiln.directory)
        blobs = self.push("zstd", [(f"{LAYER}+gzip", gzip.compress(one, mtime=0), one),
                                   (f"{LAYER}+zstd", blob, two), (LAYER, three, three)])
        manifest = self.build("zstd", "zstd")
        self.assertEqual(manifest["mediaType"], f"{OCI}.manifest.v1+json")
        self.assertEqual(manifest["config"]["mediaType"], f"{OCI}.config.v1+json")
        self.assertEqual([layer["digest"] for layer in manifest["layers"][:3]], blobs)
        self.assertEqual([layer["mediaType"].removeprefix(LAYER) for layer in manifest["layers"]][:4],
                         ["+gzip", "+zstd", "", "+gzip"])
        config = json.loads(self.kiln.blob("zstd", manifest["config"]["digest"]))
        self.assertEqual(config["config"]["Healthcheck"], {"Test": ["CMD-SHELL", "true"]})
        self.assertLessEqual({"/one", "/two", "/three", "/four"}, self.copied("zstd"))

    def test_a_mirror_may_pull_through(self):
        one = tar_of("one", b"through")
        blobs = self.push("through", [(f"{LAYER}+gzip", gzip.compress(one, mtime=0), one)])
        manifest = self.build("through", "through", "far.example")
        self.assertEqual(manifest["layers"][0]["digest"], blobs[0])
        names = http_request("GET", f"http://127.0.0.1:{self.cache.port}/v2/_catalog").json
        self.assertEqual(names["repositories"], ["base"])


if __name__ == "__main__":
    kiln_server.main()
