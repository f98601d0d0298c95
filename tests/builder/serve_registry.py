"""serve_registry.py DIRECTORY ADDRESS PORT VICTIM: registries that can only be pulled from, by TLS with
a certificate of the authority DIRECTORY/ca.pem.  Each repository has an image of its own, with a layer
of some megabytes:

    PORT      app/plain:1; app/flaky:1, whose layer's first answer ends in the middle; app/shy:1,
              whose layer's first request is hung up on; evil/redirect:1, whose layer is said to be
              at VICTIM
              private/token:1 and private/basic:1, for kiln:opensesame by a token or by themselves,
              whose layers are at PORT + 2; plain/redirect:1 and plain/realm:1, which lead to plain
              HTTP; odd/foreign:1, a layer of which is elsewhere; odd/platform:1 and odd/index:1, of
              which one is not for this machine; odd/layers:1, with 501 layers
    PORT + 1  evil/realm:1, whose tokens are said to come from VICTIM
    PORT + 2  the blobs again

Every request is a line in DIRECTORY/requests: the port, its path, the range that was asked for, and
"authorized" when it has credentials;
DIRECTORY/ready is there when they listen."""
import gzip
import hashlib
import http.server
import io
import json
import os
import pathlib
import sys
import tarfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
from own_ca import OwnCa  # noqa: E402

MEDIA = "application/vnd.docker."
DIRECTORY, ADDRESS = pathlib.Path(sys.argv[1]), sys.argv[2]
PORT, VICTIM = int(sys.argv[3]), sys.argv[4]


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def make_image():
    """The manifest, {digest: blob}, and the layer's digest."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as t:
        content = os.urandom(6 << 20)
        entry = tarfile.TarInfo("large")
        entry.size = len(content)
        t.addfile(entry, io.BytesIO(content))
    layer = gzip.compress(tar.getvalue(), 1)
    config = json.dumps({
        "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": [digest(tar.getvalue())]}}).encode()
    manifest = json.dumps({
        "schemaVersion": 2, "mediaType": MEDIA + "distribution.manifest.v2+json",
        "config": {"mediaType": MEDIA + "container.image.v1+json", "size": len(config),
                   "digest": digest(config)},
        "layers": [{"mediaType": MEDIA + "image.rootfs.diff.tar.gzip", "size": len(layer),
                    "digest": digest(layer)}]}).encode()
    return manifest, {digest(config): config, digest(layer): layer}, digest(layer)


def change(image, how):
    """The image, with how(its manifest) instead of that."""
    manifest, blobs, layer = image
    return json.dumps(how(json.loads(manifest))).encode(), blobs, layer


def foreign(manifest):
    manifest["layers"][0]["urls"] = [f"{VICTIM}/layer"]
    return manifest


def many(manifest):
    manifest["layers"] *= 501
    return manifest


IMAGES = {name: make_image() for name in ("app/plain", "app/flaky", "app/shy")}
IMAGE = make_image()
for NAME in ("evil/redirect", "evil/realm", "private/token", "private/basic", "plain/redirect",
             "plain/realm", "odd/platform", "odd/index"):
    IMAGES[NAME] = IMAGE
IMAGES["odd/foreign"], IMAGES["odd/layers"] = change(IMAGE, foreign), change(IMAGE, many)
INDICES = {"odd/platform": "s390x", "odd/index": "amd64"}
BASIC = "Basic a2lsbjpvcGVuc2VzYW1l"  # kiln:opensesame
LOCK = threading.Lock()
SEEN = set()  # (repository) whose layer was asked for


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *words):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        port, words = self.server.server_port, self.headers.get("Authorization", "")
        with LOCK, (DIRECTORY / "requests").open("a", encoding="utf-8") as f:
            f.write(f"{port} {self.path} {self.headers.get('Range', '')} {'authorized' if words else ''}\n")
        repository = "/".join(self.path.split("/")[2:4])
        if port == PORT + 1:
            self.challenge(VICTIM)
        elif self.path.startswith("/token?"):
            if words == BASIC:
                self.answer(200, b'{"token": "open"}')
            else:
                self.answer(401)
        elif port == PORT and repository == "private/token" and words != "Bearer open":
            self.challenge(f"https://another.example:{PORT}")
        elif port == PORT and repository == "private/basic" and words != BASIC:
            self.answer(401, WWW_Authenticate='Basic realm="here"')
        elif repository == "plain/realm":
            self.challenge(f"http://another.example:{PORT}")
        elif "/manifests/" in self.path:
            self.manifest(repository, self.path.rsplit("/", 1)[1])
        elif repository in IMAGES:
            self.blob(repository, self.path.rsplit("/", 1)[1])
        else:
            self.answer(404)

    def challenge(self, where):
        self.answer(401, WWW_Authenticate=f'Bearer realm="{where}/token",service="x",scope="a:b,c"')

    def manifest(self, repository, reference):
        manifest, kind = IMAGES[repository][0], "manifest.v2+json"
        if repository in INDICES and not reference.startswith("sha256:"):
            kind = "manifest.list.v2+json"
            manifest = json.dumps({
                "schemaVersion": 2, "mediaType": MEDIA + "distribution." + kind,
                "manifests": [{"mediaType": MEDIA + "distribution.manifest.v2+json",
                               "size": len(manifest), "digest": digest(manifest),
                               "platform": {"os": "linux",
                                            "architecture": INDICES[repository]}}]}).encode()
        self.answer(200, manifest, Content_Type=MEDIA + "distribution." + kind)

    def blob(self, repository, name):
        _, blobs, layer = IMAGES[repository]
        data = blobs[name]
        begin = self.headers.get("Range", "")
        leads = {"evil/redirect": VICTIM, "plain/redirect": "http://another.example:1",
                 "private/token": f"https://another.example:{PORT + 2}",
                 "private/basic": f"https://another.example:{PORT + 2}"}
        if name == layer and repository in leads and self.server.server_port == PORT:
            self.answer(307, Location=leads[repository] + self.path)
            return
        if name == layer:
            with LOCK:
                first = repository not in SEEN
                SEEN.add(repository)
            if first and repository in ("app/flaky", "app/shy"):
                self.break_off(data if repository == "app/flaky" else b"")
                return
        if begin.startswith("bytes="):
            at = int(begin[6:].split("-")[0])
            self.answer(206, data[at:], Content_Range=f"bytes {at}-{len(data) - 1}/{len(data)}")
        else:
            self.answer(200, data)

    def break_off(self, data):
        """Half of it, and no more."""
        if data:
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[:len(data) // 2])
            self.wfile.flush()
        self.close_connection = True
        self.connection.close()


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """Clients that hang up, and those that are hung up on."""


def main():
    DIRECTORY.mkdir()
    ca = OwnCa(DIRECTORY, ADDRESS, "another.example")
    for port in (PORT, PORT + 1, PORT + 2):
        server = Server(("0.0.0.0", port), Handler)
        ca.wrap(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
    (DIRECTORY / "ready").write_text("")
    while True:
        time.sleep(60)


main()
