"""A small NBD client (the protocol's fixed newstyle), and a kiln that serves a volume."""
import os
import signal
import socket
import struct
import subprocess
import time

KILN = os.environ["KILN"]
READ, WRITE, FLUSH, TRIM, ZEROES = 0, 1, 3, 4, 6
FUA = 1


class Refused(Exception):
    """The server answered with this errno."""


class Client:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        assert self.receive(16) == b"NBDMAGICIHAVEOPT"
        self.receive(2)
        self.socket.sendall(struct.pack(">I", 3) + b"IHAVEOPT" + struct.pack(">II", 1, 0))
        self.size, self.flags = struct.unpack(">QH", self.receive(10))
        self.handle = 0

    def receive(self, n):
        data = bytearray()
        while len(data) < n:
            piece = self.socket.recv(n - len(data))
            if not piece:
                raise EOFError("the server is gone")
            data += piece
        return bytes(data)

    def ask(self, command, offset=0, length=0, data=b"", flags=0):
        self.handle += 1
        self.socket.sendall(struct.pack(">IHHQQI", 0x25609513, flags, command, self.handle, offset,
                                        length) + data)
        magic, error, handle = struct.unpack(">IIQ", self.receive(16))
        assert (magic, handle) == (0x67446698, self.handle)
        if error:
            raise Refused(error)
        return self.receive(length) if command == READ else b""

    def read(self, offset, length):
        return self.ask(READ, offset, length)

    def write(self, offset, data, flags=0):
        self.ask(WRITE, offset, len(data), data, flags)

    def zero(self, offset, length, command=ZEROES):
        self.ask(command, offset, length)

    def flush(self):
        self.ask(FLUSH)

    def can_write(self):
        return not self.flags & 2


class Served:
    """kiln volume serve WORDS, until the block ends with SIGTERM."""

    def __init__(self, work, *words):
        self.path = f"{work}/socket"
        self.uri = f"nbd+unix:///?socket={self.path}"
        self.process = subprocess.Popen(
            [KILN, "volume", "serve", *words, "--socket", self.path, "--data-dir", f"{work}/data"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def connect(self):
        for _ in range(2400):
            try:
                return Client(self.path)
            except OSError:
                assert self.process.poll() is None, self.process.communicate()
                time.sleep(0.05)
        raise AssertionError("no server after two minutes")

    def __enter__(self):
        self.client = self.connect()
        return self

    def kill(self):
        self.process.kill()
        self.process.communicate()

    def __exit__(self, *_):
        self.client.socket.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.output = self.process.communicate(timeout=120)
            assert self.process.returncode == 0, (self.process.returncode, self.output)
            assert not os.path.exists(self.path)


def run(*words, **more):
    return subprocess.run(words, check=True, capture_output=True, timeout=300, **more).stdout


def kiln(work, *words, fails=False):
    done = subprocess.run([KILN, *words, "--data-dir", f"{work}/data"], capture_output=True,
                          timeout=300)
    if (done.returncode != 0) != fails:
        raise AssertionError(f"kiln {' '.join(words)}: {done.returncode} {done.stderr.decode()}")
    return done.stderr.decode() if fails else done.stdout
