"""A git server on loopback: git's own http-backend behind a small CGI server, and repositories made
for it.

    server = GitServer(directory)
    repo = server.make("demo")           # a Repository: files, commits, branches and tags
    repo.commit({"Dockerfile": "FROM scratch\\n"})
    server.url("demo")                   # http://127.0.0.1:PORT/demo.git
"""
import http.server
import os
import pathlib
import ssl
import subprocess
import threading
import urllib.parse

IDENTITY = {"GIT_AUTHOR_NAME": "Kiln", "GIT_AUTHOR_EMAIL": "kiln@example.com",
            "GIT_COMMITTER_NAME": "Kiln", "GIT_COMMITTER_EMAIL": "kiln@example.com",
            "GIT_AUTHOR_DATE": "2024-03-01T12:00:00Z", "GIT_COMMITTER_DATE": "2024-03-01T12:00:00Z",
            "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}


class Repository:
    """A bare repository with its working tree beside it."""

    def __init__(self, bare, tree):
        self.bare, self.tree = pathlib.Path(bare), pathlib.Path(tree)
        self.run("init", "--quiet", "--initial-branch=main", self.tree, at="/")
        self.run("clone", "--quiet", "--bare", self.tree, self.bare, at="/")
        self.git("remote", "add", "origin", self.bare)

    def run(self, *words, at, data=None):
        done = subprocess.run(["git", *(str(w) for w in words)], cwd=at, input=data, check=False,
                              env={**os.environ, **IDENTITY}, capture_output=True)
        assert done.returncode == 0, f"git {words}: {done.stderr.decode()}"
        return done.stdout.decode().strip()

    def git(self, *words):
        return self.run(*words, at=self.tree)

    def commit(self, files=(), message="a commit"):
        """Writes the files ({path: text or bytes}), commits all, pushes; the commit's id."""
        for path, content in dict(files).items():
            target = self.tree / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content if isinstance(content, bytes) else content.encode())
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        self.push()
        return self.git("rev-parse", "HEAD")

    def push(self):
        self.git("push", "--quiet", "--force", "--all", "origin")
        self.git("push", "--quiet", "--force", "--tags", "origin")

    def configure(self, key, value):
        """For the server's side."""
        self.run("config", key, value, at=self.bare)


class QuietServer(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """Clients that hang up are what some tests are about."""


class GitServer:
    def __init__(self, directory, address=("127.0.0.1", 0)):
        self.directory = pathlib.Path(directory)
        self.root = self.directory / "served"
        self.root.mkdir(parents=True)
        self.repositories = {}
        self.redirects = {}  # path: location
        self.answers = {}    # path: status
        self.packs = {}      # name: bytes that are sent for every request, whatever they are
        self.requests = []   # (method, path) as they came
        self.http = QuietServer(address, self.handler())
        self.thread = threading.Thread(target=self.http.serve_forever, daemon=True)
        self.thread.start()

    @property
    def host(self):
        return f"127.0.0.1:{self.http.server_port}"

    def url(self, name, rest=""):
        return f"http://{self.host}/{name}.git{rest}"

    def make(self, name):
        repository = Repository(self.root / f"{name}.git", self.directory / "trees" / name)
        self.repositories[name] = repository
        return repository

    def speak_tls(self):
        """From now on, with a certificate that nobody has vouched for."""
        key, certificate = self.directory / "key.pem", self.directory / "certificate.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
                        "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
                        "-keyout", key, "-out", certificate], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.http.socket = context.wrap_socket(self.http.socket, server_side=True)

    def stop(self):
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()

    def handler(self):
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *words):
                pass

            def do_GET(self):
                self.serve()

            def do_POST(self):
                self.serve()

            def serve(self):
                path, _, query = self.path.partition("?")
                server.requests.append((self.command, path))
                body = self.read_body()
                if path in server.redirects:
                    location = server.redirects[path] + ("?" + query if query else "")
                    self.answer(302, {"Location": location}, b"")
                elif path.split(".git/")[0].strip("/") in server.packs:
                    self.false_server(path)
                elif path in server.answers:
                    self.answer(server.answers[path], {"Content-Type": "text/html"}, b"no")
                else:
                    self.backend(path, query, body)

            def read_body(self):
                if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length") or 0))
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

            def false_server(self, path):
                """As gitprotocol-pack(5) has it, with one ref, and a pack that git did not make."""
                def line(text):
                    return f"{len(text) + 4:04x}{text}".encode()
                if path.endswith("/info/refs"):
                    content = (line("# service=git-upload-pack\n") + b"0000"
                               + line("ab" * 20 + " HEAD\0ofs-delta\n") + b"0000")
                    kind = "advertisement"
                else:
                    content = line("NAK\n") + server.packs[path.split(".git/")[0].strip("/")]
                    kind = "result"
                self.answer(200, {"Content-Type": f"application/x-git-upload-pack-{kind}"}, content)

            def backend(self, path, query, body):
                done = subprocess.run(
                    ["git", "http-backend"], input=body, capture_output=True, check=False,
                    env={**os.environ, **IDENTITY, "GIT_PROJECT_ROOT": str(server.root),
                         "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": urllib.parse.unquote(path),
                         "QUERY_STRING": query, "REQUEST_METHOD": self.command,
                         "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                         "CONTENT_LENGTH": str(len(body)), "REMOTE_ADDR": "127.0.0.1",
                         "GIT_PROTOCOL": self.headers.get("Git-Protocol", "")})
                head, _, content = done.stdout.partition(b"\r\n\r\n")
                headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if line)
                status = int(headers.pop("Status", "200").split()[0])
                self.answer(status, headers, content)

            def answer(self, status, headers, content):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        return Handler
