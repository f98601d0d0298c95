"""cut_answers.py DIRECTORY REGISTRY BYTES: what the registry ("host:port", plain HTTP) answers, but every
answer ends after so many bytes of its body, and the connection with it.

DIRECTORY/port is there when it listens on loopback; every answer is a line in DIRECTORY/answers: the
path, the first byte asked for, the bytes that it has in all, and how many were passed on."""
import http.client
import http.server
import os
import pathlib
import sys
import threading

DIRECTORY, REGISTRY, BYTES = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
LOCK = threading.Lock()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *words):
        pass

    def do_GET(self):
        registry = http.client.HTTPConnection(REGISTRY)
        registry.request("GET", self.path, headers={
            name: self.headers[name] for name in ("Accept", "Range") if name in self.headers})
        answer = registry.getresponse()
        body = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "content-length"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        begin = int(self.headers.get("Range", "bytes=0-")[6:].split("-")[0])
        with LOCK, (DIRECTORY / "answers").open("a", encoding="utf-8") as f:
            f.write(f"{self.path} {begin} {begin + len(body)} {min(len(body), BYTES)}\n")
        self.wfile.write(body[:BYTES])
        self.close_connection = True


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    (DIRECTORY / "port.tmp").write_text(str(server.server_port))
    os.rename(DIRECTORY / "port.tmp", DIRECTORY / "port")
    server.serve_forever()


main()
