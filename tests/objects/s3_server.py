"""An S3 server for tests: moto's, behind a door that checks what moto does not.

    server = S3Server(keep).start()      server.url, server.stop(), server.start() again

or as a program of its own, at an address, with the buckets that are named: away at SIGUSR1, back at
SIGUSR2, its objects kept:

    s3_server.py KEEP --listen 192.0.2.41:9000 BUCKET...

moto keeps objects in memory, and does ranges, multipart uploads, conditions, copies and pages.  It
does not check signatures of presigned URLs, that a body is what was signed, nor a copy's If-Match.
The door does, with botocore's own signer: another implementation of Signature Version 4 than the one
under test.  As S3 it refuses expired URLs, and x-amz- headers that are not signed.  Neither looks at
policies, and the door lets any key that it knows do everything.

Faults are set with POST /-/faults, a JSON list; each counts for the next requests that match:

    {"status": 503, "retry_after": 1, "count": 2}       answers so
    {"cut_answer": 1000, "count": 1}                    ends the connection after so many bytes
    {"cut_request": true}                               ends it without an answer, and does nothing
    {"cut_done": true}                                  does it, and ends it without an answer
    {"later": 7200}                                     says that it is so many seconds later
    {"flip": 10}                                        a bit of that byte of the answer is wrong
    ... "method": "GET", "path": "packs/"               only such requests, path: a part of it
"""
import base64
import contextlib
import datetime
import fcntl
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
from email.utils import formatdate

PACKAGES = ["moto==5.2.1", "flask==3.1.3", "flask-cors==6.0.5", "PyYAML==6.0.4",
            "py-partiql-parser==0.6.3"]
ACCESS, SECRET, REGION = "AKIAKILNTEST", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "eu-test-1"
BUCKET = "kiln-test"


def packages(keep):
    """A directory with moto and what its S3 needs; the rest of its extras is ten times as large."""
    directory = pathlib.Path(keep) / "moto-5.2.1"
    directory.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{directory}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run side by side
        if not (directory / "whole").exists():
            shutil.rmtree(directory, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--target",
                            directory, *PACKAGES], check=True, stdin=subprocess.DEVNULL)
            (directory / "whole").write_text("")
    return directory


class Refused(Exception):
    def __init__(self, code, status=403):
        super().__init__(code)
        self.code, self.status = code, status


def raw_url(environ):
    return f"http://{environ['HTTP_HOST']}{environ['RAW_URI']}"


def headers_of(environ):
    found = {name[5:].replace("_", "-").lower(): value for name, value in environ.items()
             if name.startswith("HTTP_")}
    if environ.get("CONTENT_TYPE"):
        found["content-type"] = environ["CONTENT_TYPE"]
    return found


class Door:
    """Judges a request's signature, as the server would."""

    def __init__(self, keys):
        from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials
        self.header_auth, self.query_auth = S3SigV4Auth, S3SigV4QueryAuth
        self.request, self.credentials, self.keys = AWSRequest, Credentials, keys

    def signature(self, auth, method, url, headers, names, moment):
        request = self.request(method, url, {n: headers[n] for n in names if n in headers})
        request.context["timestamp"] = moment
        text = auth.string_to_sign(request, auth.canonical_request(request))
        return auth.signature(text, request)

    def check(self, environ, body):
        headers, url = headers_of(environ), raw_url(environ)
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query, True))
        presigned = "X-Amz-Signature" in query
        if presigned:
            said = {"Credential": query["X-Amz-Credential"], "Signature": query["X-Amz-Signature"],
                    "SignedHeaders": query["X-Amz-SignedHeaders"]}
            moment = query["X-Amz-Date"]
            url = url.partition("&X-Amz-Signature=")[0]
        elif headers.get("authorization", "").startswith("AWS4-HMAC-SHA256 "):
            said = dict(part.strip().split("=", 1)
                        for part in headers["authorization"].split(" ", 1)[1].split(","))
            moment = headers["x-amz-date"]
        else:
            raise Refused("AccessDenied")
        access, day, region, service, last = said["Credential"].split("/")
        if access not in self.keys:
            raise Refused("InvalidAccessKeyId")
        if region != REGION:
            raise Refused("AuthorizationHeaderMalformed", 400)
        names = said["SignedHeaders"].split(";")
        if "host" not in names or (day, service, last) != (moment[:8], "s3", "aws4_request"):
            raise Refused("AuthorizationHeaderMalformed", 400)
        if any(name.startswith("x-amz-") and name not in names for name in headers):
            raise Refused("AccessDenied")
        age = (datetime.datetime.now(datetime.timezone.utc) - datetime.datetime.strptime(
            moment + "+0000", "%Y%m%dT%H%M%SZ%z")).total_seconds()
        if presigned and age > int(query["X-Amz-Expires"]):
            raise Refused("AccessDenied")
        if abs(age) > 900 and not presigned:
            raise Refused("RequestTimeTooSkewed")
        credentials = self.credentials(access, self.keys[access])
        auth = (self.query_auth(credentials, "s3", region, int(query["X-Amz-Expires"]))
                if presigned else self.header_auth(credentials, "s3", region))
        if self.signature(auth, environ["REQUEST_METHOD"], url, headers, names,
                          moment) != said["Signature"]:
            raise Refused("SignatureDoesNotMatch")
        self.check_body(headers, body, presigned)

    @staticmethod
    def check_body(headers, body, presigned):
        digest = hashlib.sha256(body)
        if not presigned and headers["x-amz-content-sha256"] not in ("UNSIGNED-PAYLOAD",
                                                                      digest.hexdigest()):
            raise Refused("XAmzContentSHA256Mismatch", 400)
        said = headers.get("x-amz-checksum-sha256")
        if said and said != base64.b64encode(digest.digest()).decode():
            raise Refused("BadDigest", 400)


class Application:
    def __init__(self, moto, door):
        self.moto, self.door = moto, door
        self.faults, self.log = [], []
        self.begun = {}  # when puts in parts were, by their ids; moto says 2010 of all
        self.here = threading.local()  # one request's
        self.away = False  # connections that are open yet end unanswered
        self.lock = threading.Lock()

    def next_fault(self, environ):
        with self.lock:
            for fault in self.faults:
                if (fault.get("method", environ["REQUEST_METHOD"]) == environ["REQUEST_METHOD"]
                        and fault.get("path", "") in environ["RAW_URI"]):
                    fault["count"] = fault.get("count", 1) - 1
                    if fault["count"] <= 0:
                        self.faults.remove(fault)
                    return fault
        return {}

    @staticmethod
    def cut(environ):
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        raise ConnectionError("cut by the test")

    @staticmethod
    def refuse(environ, start_response, code, status, more=()):
        text = (f"<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{code} it is</Message>"
                "</Error>").encode()
        start_response(f"{status} Refused", [("Content-Type", "application/xml"),
                                             ("Content-Length", str(len(text))), *more])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [text]

    def control(self, environ, start_response, body):
        if environ["REQUEST_METHOD"] == "POST":
            with self.lock:
                self.faults[:] = json.loads(body)
        text = json.dumps(self.log).encode()
        start_response("200 OK", [("Content-Length", str(len(text)))])
        return [text]

    def __call__(self, environ, start_response):
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        if self.away:
            self.cut(environ)
        if environ["RAW_URI"] == "/-/faults":
            return self.control(environ, start_response, body)
        with self.lock:
            self.log.append(f"{environ['REQUEST_METHOD']} {environ['RAW_URI'].partition('?')[0]}")
        fault = self.next_fault(environ)
        self.here.later = fault.get("later", 0)
        if "cut_request" in fault:
            self.cut(environ)
        if "status" in fault:
            return self.refuse(environ, start_response, "SlowDown", fault["status"],
                               [("Retry-After", str(fault.get("retry_after", 0)))])
        try:
            self.door.check(environ, body)
        except Refused as e:
            return self.refuse(environ, start_response, e.code, e.status)
        return self.answer(environ, start_response, fault)

    @staticmethod
    def copy_condition_holds(environ):
        """moto does not look at x-amz-copy-source-if-match."""
        from moto.s3.models import s3_backends
        etag = environ.get("HTTP_X_AMZ_COPY_SOURCE_IF_MATCH")
        if not etag:
            return True
        bucket, _, key = urllib.parse.unquote(environ["HTTP_X_AMZ_COPY_SOURCE"])[1:].partition("/")
        there = s3_backends["123456789012"]["aws"].get_object(bucket, key)
        return not there or there.etag == etag

    def answer(self, environ, start_response, fault):
        if not self.copy_condition_holds(environ):
            return self.refuse(environ, start_response, "PreconditionFailed", 412)
        of_parts = environ["QUERY_STRING"].startswith(("uploads", "prefix", "key-marker"))
        if not of_parts and not {"cut_done", "cut_answer", "flip"} & set(fault):
            return self.moto(environ, start_response)
        held = []
        content = bytearray(b"".join(self.moto(environ, lambda *a: held.append(a))))
        if of_parts:
            content = bytearray(self.dated(environ, content.decode()).encode())
            held = [(held[0][0], [(n, str(len(content)) if n.lower() == "content-length" else v)
                                  for n, v in held[0][1]])]
        if "cut_done" in fault:
            self.cut(environ)
        if "flip" in fault and len(content) > fault["flip"]:
            content[fault["flip"]] ^= 1
        start_response(*held[0])
        return self.halves(environ, bytes(content), fault)

    def dated(self, environ, text):
        ids = re.findall(r"<UploadId>(.*?)</UploadId>", text)
        if environ["REQUEST_METHOD"] == "POST":
            self.begun.update((i, time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())) for i in ids)
        dates = iter([self.begun.get(i, "") for i in ids])
        return re.sub(r"(?<=<Initiated>).*?(?=</Initiated>)", lambda _: next(dates), text)

    def halves(self, environ, content, fault):
        if "cut_answer" in fault:
            yield content[:fault["cut_answer"]]
            self.cut(environ)
        yield content


class S3Server:
    """Objects stay over stop and start, as those of a server with a disk would."""

    def __init__(self, keep, port=0, host="127.0.0.1"):
        sys.path.insert(0, str(packages(keep)))
        os.environ.setdefault("MOTO_S3_DEFAULT_MAX_KEYS", "7")  # so that every list has pages
        os.environ.setdefault("MOTO_S3_CUSTOM_ENDPOINTS", "")
        from moto.moto_server.werkzeug_app import create_backend_app
        self.application = Application(create_backend_app("s3"), Door({ACCESS: SECRET}))
        self.host, self.port, self.server = host, port, None

    @property
    def url(self):
        return f"http://{self.host}:{self.port}"

    @property
    def log(self):
        return self.application.log

    def start(self):
        import logging
        from werkzeug.serving import WSGIRequestHandler, make_server
        logging.getLogger("werkzeug").setLevel(logging.CRITICAL)

        class Handler(WSGIRequestHandler):
            protocol_version = "HTTP/1.1"
            here = self.application.here

            def date_time_string(self, timestamp=None):
                return formatdate((timestamp or time.time()) + getattr(self.here, "later", 0),
                                  usegmt=True)

            def log_error(self, *_):
                pass

        self.server = self.bind(lambda: make_server(
            self.host, self.port, self.application, threaded=True, request_handler=Handler))
        self.application.away = False
        self.server.daemon_threads = True
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    @staticmethod
    def bind(make):
        """The port of a server that was stopped may be taken for a moment yet."""
        end = time.monotonic() + 30
        while True:
            try:
                with contextlib.redirect_stderr(io.StringIO()):
                    return make()
            except SystemExit:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)

    def stop(self):
        self.application.away = True
        self.server.shutdown()
        self.server.server_close()

    def client(self):
        import boto3
        from botocore.config import Config
        return boto3.client("s3", endpoint_url=self.url, region_name=REGION,
                            aws_access_key_id=ACCESS, aws_secret_access_key=SECRET,
                            config=Config(s3={"addressing_style": "path"}))

    def create_bucket(self, name=BUCKET):
        self.client().create_bucket(
            Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})

    def keys(self, bucket=BUCKET):
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return [o["Key"] for page in pages for o in page.get("Contents", [])]


def listen(keep, address, buckets):
    """Until SIGTERM."""
    host, _, port = address.rpartition(":")
    server = S3Server(keep, int(port), host).start()
    for bucket in buckets:
        server.create_bucket(bucket)
    asked = {signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM}
    while (number := signal.sigwait(asked)) != signal.SIGTERM:
        if number == signal.SIGUSR1:
            server.stop()
        else:
            server.start()


def main():
    """s3_server.py KEEP COMMAND...: runs it with a server, which it finds in the environment."""
    if sys.argv[2] == "--listen":
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM})
        listen(sys.argv[1], sys.argv[3], sys.argv[4:])
        return
    server = S3Server(sys.argv[1]).start()
    server.create_bucket()
    environ = {**os.environ, "KILN_TEST_S3": server.url, "AWS_ACCESS_KEY_ID": ACCESS,
               "AWS_SECRET_ACCESS_KEY": SECRET}
    sys.exit(subprocess.run(sys.argv[2:], env=environ, check=False).returncode)


if __name__ == "__main__":
    main()
