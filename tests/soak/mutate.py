"""Requests that are nearly right: real exchanges, changed at random.

    corpus(), whole(description)   what is changed: the corpus of the API's fuzzer, and every operation
    Mutation(seed, corpus, whole)  .next(): the bytes, and how they are to be sent

Requests are raw bytes with @KEY@ (of a workspace), @ACCOUNT@ (the key of an account), @URL@ and @OLD@
in them, which the caller replaces."""
import copy
import dataclasses
import json
import pathlib
import random
import re
import urllib.parse

CORPUS = pathlib.Path(__file__).resolve().parents[1] / "api/corpus"
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get",
           "FOO", "G" * 40, "GE T", "", "P\0ST", "PRI"]
VALUES = [None, True, False, 0, -1, 1.5, 1e308, 2**63, -2**63, 2**64, 10**40, "", "a", "\0", "é" * 40,
          "../..", "%2e%2e", "x" * 300, "x" * 70000, [], {}, [[]], [None] * 200, {"": {}}, "ud800",
          "2048", "latest", "s3://x", "http://[::1]/", "a:b@sha256:0", "'; drop table builds; --"]
PIECES = ["", "/", "//", "/.", "/..", "/%2e%2e", "/%00", "/%", "/%zz", "/%c0%af", "/\xff", "/ ",
          "/a b", "/" + "a" * 64, "/" + "a" * 9000, "/*", "/#x", "/:latest", "/x:y:z", "/~", "/\t"]
QUERIES = ["", "?", "?=", "?&", "?limit=-1", "?limit=0", "?limit=99999999999999999999", "?limit=x",
           "?cursor=%00", "?cursor=" + "9" * 300, "?sort=name:up", "?upload=true&upload=false",
           "?upload=maybe", "?start=2026-01-01&end=x", "?start=9999-99-99T99:99:99&end=",
           "?workloadIds=" + ",".join("abc" for _ in range(500)), "?force=1", "?status=,,,", "?%61=b",
           "?q=" + "%25" * 400, "?scope=repository:a/b:pull+x&scope=y", "?service=\r\n", "?a" * 900]
HEADERS = ["Content-Length: -1", "Content-Length: 1", "Content-Length: 99999999999999999999",
           "Content-Length: 5, 5", "Content-Length:", "Transfer-Encoding: chunked",
           "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: identity", "Expect: 100-continue",
           "Expect: wonders", "Connection: close", "Connection: upgrade\r\nUpgrade: h2c",
           "Host:", "Host: a\r\nHost: b", "Host: [::", "Authorization:", "Authorization: Basic",
           "Authorization: Basic %%%", "Authorization: Bearer", "Authorization: Bearer a b",
           "X-Blaxel-Authorization: Bearer bl_" + "0" * 40, "X-Blaxel-Workspace: ../acme",
           "X-Blaxel-Workspace: other", "X-Blaxel-Workspace: " + "w" * 5000, "Blaxel-Version: 0",
           "Blaxel-Version: 9999-99-99", "Content-Type: text/html", "Content-Type: \xff", "Accept: */*;q=",
           "Range: bytes=0-0,5-", "If-None-Match: *", "no colon here", ": no name", " folded", "A\0: b",
           "X-Long: " + "y" * 66000, "Cookie: a=b", "Content-Encoding: gzip", "TE: trailers",
           "x-amz-meta-x-blaxel-build: 1", "Forwarded: for=\"[\"", "X-Forwarded-Proto: https"]
ENDS = ["\r\n", "\n", "\r", "\r\n\r\n", ""]
CHUNKS = [b"0\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\n", b"5;x=y\r\nhello\r\n0\r\nT: v\r\n\r\n", b"-1\r\n",
          b"ffffffffffffffff\r\nx", b"10000000000000000\r\n", b"zz\r\n", b"5\r\nhel", b"5hello\r\n",
          b"3\nabc\n0\n\n", b"00000005\r\nhello\r\n0\r\n\r\n", b"5\r\nhelloworld\r\n0\r\n\r\n", b"\r\n",
          b"1 \r\nx\r\n0\r\n\r\n", b"0\r\n" + b"T: v\r\n" * 200 + b"\r\n"]
# What a parameter has to be, if it is to pass.
SAID = {"workspace": "acme", "limit": 5, "start": "2026-01-01T00:00:00Z", "end": "2099-01-01T00:00:00Z",
        "cursor": "", "status": "", "follow": False, "format": "text", "severity": "INFO", "build": ""}
UNSAID = {"image", "dockerConfig", "template", "source", "skipBuild"}  # nothing of the kind is there
WAYS = ["whole"] * 6 + ["pieces", "half-closed", "reset", "cut", "slow"]


def corpus():
    """Raw requests, right and wrong ones."""
    return [path.read_bytes() for path in sorted(CORPUS.iterdir())]


def resolve(document, part):
    """What a reference stands for."""
    if "$ref" not in part:
        return part
    at = document
    for name in part["$ref"].removeprefix("#/").split("/"):
        at = at[name.replace("~1", "/")]
    return at


def example(document, schema, depth=0):
    """A value that the schema may mean, with nearly all members."""
    schema = resolve(document, schema)
    for key in ("oneOf", "anyOf"):
        if key in schema:
            return example(document, schema[key][0], depth)
    if "allOf" in schema:
        merged = {}
        for part in schema["allOf"]:
            value = example(document, part, depth)
            merged.update(value if isinstance(value, dict) else {})
        return merged
    if "enum" in schema or "const" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    kind = schema.get("type", "string")
    match kind[0] if isinstance(kind, list) else kind:
        case "object":
            return {} if depth > 6 else {
                key: example(document, value, depth + 1)
                for key, value in schema.get("properties", {}).items() if key not in UNSAID}
        case "array":
            return [] if depth > 6 else [example(document, schema.get("items", {}), depth + 1)]
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
    return "demo"


def query(document, operation):
    """All parameters of the query."""
    found = []
    for parameter in operation.get("parameters", []):
        parameter = resolve(document, parameter)
        if parameter["in"] == "query":
            value = SAID.get(parameter["name"], example(document, parameter.get("schema", {})))
            text = str(value).lower() if isinstance(value, bool) else str(value)
            found.append(f"{parameter['name']}={urllib.parse.quote(text)}")
    return "?" + "&".join(found) if found else ""


def whole(document, without=()):
    """Raw requests of every operation that the API's description has, but of those paths."""
    names = {"kind": "sandboxes", "type": "sandbox"}
    found = []
    for pattern, operations in document["paths"].items():
        path = re.sub(r"\{(\w+)\}", lambda m: names.get(m[1], "demo"), pattern)
        for method, operation in operations.items():
            if pattern in without or method == "parameters":
                continue
            head = (f"{method.upper()} {path}%s HTTP/1.1\r\nHost: kiln\r\nAuthorization: Bearer @ACCOUNT@\r\n"
                    "X-Blaxel-Workspace: acme\r\nBlaxel-Version: 2026-09-22\r\n")
            content = resolve(document, operation.get("requestBody", {})).get("content", {})
            body = b""
            if "application/json" in content:
                body = json.dumps(example(document, content["application/json"]["schema"])).encode()
            if method in ("post", "put"):
                head += f"Content-Length: {len(body)}\r\n"
            for asked in {"", query(document, operation)}:
                found.append((head % asked).encode() + b"\r\n" + body)
    return found


@dataclasses.dataclass
class Request:
    data: bytes
    way: str  # one of WAYS
    what: str  # how it came to be, for people
    answered: bool = False  # it is whole and right: an answer has to come


def split(raw):
    """Request line, header lines and body of the first request in it."""
    head, gap, body = raw.partition(b"\r\n\r\n")
    if not gap:
        head, _, body = raw.partition(b"\n\n")
    lines = re.split(rb"\r?\n", head)
    return lines[0], lines[1:], body


def join(line, headers, body, end=b"\r\n"):
    return end.join([line, *headers, b"", b""]) + body


def sized(headers, body):
    """With a Content-Length that is right."""
    kept = [h for h in headers if not h.lower().startswith((b"content-length", b"transfer-encoding"))]
    return kept + [b"Content-Length: %d" % len(body)]


class Mutation:
    def __init__(self, seed, corpus, whole):
        self.random = random.Random(seed)
        self.requests = corpus + whole
        self.whole = whole
        self.kinds = [self.bytes, self.bytes, self.method, self.path, self.query, self.header, self.header,
                      self.json, self.json, self.json, self.chunks, self.ends, self.pipeline, self.version,
                      self.intact]

    def next(self):
        kind = self.random.choice(self.kinds)
        if kind == self.intact:
            return Request(self.random.choice(self.whole), self.random.choice(("whole", "pieces", "slow")),
                           "intact", True)
        data = kind(self.random.choice(self.requests))
        if self.random.random() < 0.15:
            again = self.random.choice(self.kinds)
            data, kind = again(data), again
        return Request(data[:200000], self.random.choice(WAYS), kind.__name__)

    def intact(self, raw):
        return raw

    def bytes(self, raw):
        data = bytearray(raw)
        for _ in range(self.random.choice((1, 1, 2, 8))):
            at = self.random.randrange(len(data) + 1)
            match self.random.randrange(5):
                case 0:
                    data[at:at + 1] = bytes([self.random.randrange(256)])
                case 1:
                    data[at:at] = self.random.randbytes(self.random.choice((1, 3, 40)))
                case 2:
                    del data[at:at + self.random.choice((1, 2, 10))]
                case 3:
                    data[at:at] = data[max(0, at - 30):at]
                case 4:
                    del data[at:]
        return bytes(data)

    def method(self, raw):
        line, headers, body = split(raw)
        words = line.split(b" ")
        words[0] = self.random.choice(METHODS).encode("latin1")
        return join(b" ".join(words), headers, body)

    def target(self, raw, change):
        line, headers, body = split(raw)
        words = line.split(b" ")
        if len(words) > 1:
            words[1] = change(words[1].decode("latin1")).encode("latin1")
        return join(b" ".join(words), headers, body)

    def path(self, raw):
        def change(target):
            path, mark, query = target.partition("?")
            parts = path.split("/")
            at = self.random.randrange(len(parts))
            piece = self.random.choice(PIECES)
            if self.random.random() < 0.5:
                parts[at] = piece.lstrip("/")
            else:
                parts.insert(at, piece.lstrip("/"))
            return "/".join(parts) + mark + query
        return self.target(raw, change)

    def query(self, raw):
        return self.target(raw, lambda t: (t.partition("?")[0] if self.random.random() < 0.5 else t)
                           + self.random.choice(QUERIES))

    def header(self, raw):
        line, headers, body = split(raw)
        if headers and self.random.random() < 0.3:
            headers.pop(self.random.randrange(len(headers)))
        for _ in range(self.random.choice((1, 1, 2, 60))):
            headers.insert(self.random.randrange(len(headers) + 1),
                           self.random.choice(HEADERS).encode("latin1"))
        return join(line, headers, body)

    def version(self, raw):
        line, headers, body = split(raw)
        end = self.random.choice((b"HTTP/1.0", b"HTTP/0.9", b"HTTP/2.0", b"HTTP/1.", b"HTTP/11", b"", b"ICY"))
        return join(line.rpartition(b" ")[0] + b" " + end, headers, body)

    def ends(self, raw):
        line, headers, body = split(raw)
        return join(line, headers, body, self.random.choice(ENDS).encode())

    def json(self, raw):
        line, headers, body = split(raw)
        try:
            document = json.loads(body.split(b"}GET")[0].split(b"}PUT")[0].split(b"}POST")[0])
        except (ValueError, RecursionError):
            document = {"metadata": {"name": "demo"}, "spec": {"runtime": {"memory": 2048}},
                        "name": "demo", "resourceType": "sandbox"}
        for _ in range(self.random.choice((1, 1, 3))):
            document = self.change(document)
        text = json.dumps(document, ensure_ascii=self.random.random() < 0.5).encode("utf8", "replace")
        match self.random.randrange(12):
            case 0:
                text = text[:self.random.randrange(len(text) + 1)]
            case 1:
                text = b"[" * self.random.choice((20, 3000)) + text
            case 2:
                text = text.replace(b'"', b'"\xff', 1)
            case 3:
                text = text[:-1] + b',"spec":1,"spec":{}}'
            case 4:
                text += b"\0 {}"
        return join(line, sized(headers, text), text)

    def change(self, document):
        """Another value somewhere in it."""
        if isinstance(document, dict) and document and self.random.random() < 0.85:
            key = self.random.choice(list(document))
            match self.random.randrange(6):
                case 0:
                    del document[key]
                case 1:
                    document[str(self.random.choice(VALUES))[:100]] = copy.deepcopy(document[key])
                case _:
                    document[key] = self.change(document[key])
            return document
        if isinstance(document, list) and document and self.random.random() < 0.7:
            at = self.random.randrange(len(document))
            document[at] = self.change(document[at])
            return document
        return copy.deepcopy(self.random.choice(VALUES))

    def chunks(self, raw):
        line, headers, body = split(raw)
        kept = [h for h in headers if not h.lower().startswith(b"content-length")]
        if self.random.random() < 0.4 and body:
            cut = self.random.randrange(len(body) + 1)
            coded = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (body[:cut], body[cut:]) if p)
            coded += b"0\r\n\r\n"
        else:
            coded = self.random.choice(CHUNKS)
        return join(line, kept + [b"Transfer-Encoding: chunked"], coded)

    def pipeline(self, raw):
        return raw + b"".join(self.random.choice(self.requests)
                              for _ in range(self.random.choice((1, 2, 30))))
