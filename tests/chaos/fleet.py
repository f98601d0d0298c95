"""Several hosts on one machine, each with a name and an address of its own on one wire, for tests.

    fleet.enter()                        # once, before anything else: see there
    wire = Wire()
    host = Host("worker-1", 21, directory, disk_mib=600)
    service = Service(host, ["kiln", "worker"], environ)
    wire.cut(host, other); wire.join(host, other)

A host is a network and a UTS namespace: to Kiln, which knows machines by their names, another machine.
Its disk is a file system in a file.  Packets between two hosts are dropped at both ends (iptables) or,
where a host is cut off from all, lost with its end of the wire.  All addresses are of 192.0.2.0/24
(TEST-NET-1) and exist in these namespaces alone.
"""
import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time

from kiln_server import Process, wait_until

NET = "192.0.2"
DOMAIN = "example"
INSIDE = "KILN_FLEET_INSIDE"


def enter():
    """Runs the program again in namespaces of its own: whatever becomes of it, its network, mounts and
    processes end with it.  Those that it sees in /proc are its own and no others."""
    if os.environ.get(INSIDE):
        return
    os.environ[INSIDE] = "1"
    os.execvp("unshare", [
        "unshare", "--net", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc",
        "--propagation", "private", "bash", "-c", '"$@"; exit $?', "init", sys.executable, "-B",
        *sys.argv])


def run(*words, check=True):
    done = subprocess.run([str(w) for w in words], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=300, check=False)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(map(str, words))}: exit code {done.returncode}\n"
                             f"{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done


class Wire:
    """A bridge, in the namespace of the program itself, which is the host "clients" on it."""

    def __init__(self, hosts_file):
        self.hosts, self.cuts = {}, set()
        self.lock = threading.Lock()
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "name", "wire", "type", "bridge")
        run("ip", "address", "add", f"{NET}.1/24", "dev", "wire")
        run("ip", "link", "set", "wire", "up")
        self.hosts_file = pathlib.Path(hosts_file)
        self.hosts_file.write_text("127.0.0.1 localhost\n")
        self.hosts_file.chmod(0o644)
        run("mount", "--bind", self.hosts_file, "/etc/hosts")

    def add(self, host):
        self.hosts[host.name] = host
        with self.hosts_file.open("a", encoding="ascii") as names:
            names.write(f"{host.address} {host.name}.{DOMAIN}\n")
        return host

    def cut(self, a, b):
        self.rule("-A", a, b)
        with self.lock:
            self.cuts.add(frozenset((a.name, b.name)))

    def join(self, a, b):
        self.rule("-D", a, b)
        with self.lock:
            self.cuts.discard(frozenset((a.name, b.name)))

    @staticmethod
    def rule(verb, a, b):
        for here, there in ((a, b), (b, a)):
            run(*here.words("iptables", "--wait", verb, "INPUT", "-s", there.address, "-j", "DROP"))

    @staticmethod
    def unplug(host):
        run("ip", "link", "set", host.link, "down")

    @staticmethod
    def plug(host):
        run("ip", "link", "set", host.link, "up")


class Clients:
    """The host that the program itself is on."""
    name, address, disk = "clients", f"{NET}.1", None

    @staticmethod
    def words(*words):
        return words


class Host:
    def __init__(self, name, number, directory, disk_mib):
        self.name, self.address, self.link = name, f"{NET}.{number}", f"v-{name}"[:15]
        self.disk = pathlib.Path(directory) / name
        self.disk.mkdir()
        self.image = self.disk.with_suffix(".img")
        with open(self.image, "wb") as image:
            image.truncate(disk_mib << 20)
        run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=1,root_owner=0:0", self.image)
        run("mount", "-o", "loop", self.image, self.disk)
        with contextlib.suppress(OSError):
            (self.disk / "lost+found").rmdir()
        self.holder = subprocess.Popen(
            ["unshare", "--net", "--uts", "sleep", "infinity"], stdin=subprocess.DEVNULL)
        ours = os.readlink("/proc/self/ns/uts")
        wait_until("the namespaces are there", lambda: os.readlink(
            f"/proc/{self.holder.pid}/ns/uts") != ours, 30, 0.01)
        run(*self.words("hostname", name))
        run("ip", "link", "add", self.link, "type", "veth", "peer", "name", "eth0", "netns",
            self.holder.pid)
        run("ip", "link", "set", self.link, "master", "wire", "up")
        run(*self.words("sh", "-c", f"ip link set lo up; ip link set eth0 up; "
                        f"ip address add {self.address}/24 dev eth0"))

    def words(self, *words):
        """A command line that runs there."""
        return ("nsenter", "--target", str(self.holder.pid), "--net", "--uts", "--", *words)

    # ---- its disk ----

    def fill(self, leave=0):
        """Takes all of the disk but so many bytes, and returns how many it took."""
        free = os.statvfs(self.disk)
        size = max(free.f_bfree * free.f_bsize - leave, 0)
        ballast = os.open(self.disk / ".ballast", os.O_CREAT | os.O_WRONLY, 0o600)
        try:
            while size >= 4096:
                try:
                    os.posix_fallocate(ballast, 0, size)
                    break
                except OSError:
                    size -= max(size // 16, 4096)  # others write, too
        finally:
            os.close(ballast)
        return size

    def empty(self):
        (self.disk / ".ballast").unlink(missing_ok=True)


class Service:
    """A program on a host.  Who keeps it alive is systemd elsewhere (Restart=on-failure,
    RestartSec=2), and look() here."""

    def __init__(self, host, name, words, environ, log, answers=None):
        self.host, self.name, self.argv = host, name, host.words(*words)
        self.environ, self.log, self.answers = environ, log, answers
        self.process, self.wanted, self.ours = None, False, False
        self.died_at, self.starts = 0, 0
        self.crashes = []  # ends by signals that nobody sent
        self.lock = threading.RLock()

    @property
    def pid(self):
        return self.process.popen.pid

    def start(self):
        with self.lock:
            self.wanted, self.ours = True, False
            self.starts += 1
            self.process = Process(self.argv, self.log, self.environ)

    def started(self, seconds=120):
        """Starts it, and again where it ends at once, until it answers."""
        self.start()

        def up():
            self.look()
            return self.process.popen.poll() is None and (not self.answers or self.answers())
        wait_until(f"{self.name} answers", up, seconds)
        return self

    def look(self):
        """Starts it again where it has died by itself; returns what is to be told of that."""
        with self.lock:
            if not self.wanted or self.process.popen.poll() is None:
                return ""
            if not self.died_at:
                self.died_at = time.monotonic()
                return self.ended()
            if time.monotonic() - self.died_at < 2:
                return ""
            self.died_at = 0
            self.start()
            return "was started again"

    def ended(self):
        code, last = self.process.popen.returncode, self.last_line()
        self.process.kill()
        if code < 0 and not self.ours:
            self.crashes.append(f"{self.name} ended by {signal.Signals(-code).name}: {last}")
        return f"ended with {code}: {last[-200:]}"

    def send(self, number):
        """A signal; by SIGKILL and the like it is gone when this returns."""
        with self.lock:
            self.ours |= number not in (signal.SIGSTOP, signal.SIGCONT)
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self):
        """It stays away until it is started again."""
        with self.lock:
            self.wanted = False
            self.send(signal.SIGKILL)
            self.process.kill()
            self.died_at = 0

    def stop(self, seconds, number=signal.SIGTERM):
        """How long it took; None: it had to be killed."""
        with self.lock:
            self.wanted = False
            begun = time.monotonic()
            self.send(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.popen.wait(seconds)
        code = self.process.popen.poll()
        self.process.kill()
        self.died_at = 0
        return None if code is None else (code, time.monotonic() - begun)

    def last_line(self):
        return (self.text().strip().splitlines() or [""])[-1]

    def text(self):
        return pathlib.Path(self.log).read_text(errors="replace") if os.path.exists(self.log) else ""


def processes():
    """{pid: command line} of all but this program, its init, and namespaces' holders."""
    found, own = {}, (1, os.getpid())
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) not in own:
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if words and words.strip() != "sleep infinity":
                    found[int(entry.name)] = words.strip()
    return found


# ---- what is not Kiln's ----

def program_of_postgresql(name):
    return shutil.which(name) or str(sorted(
        pathlib.Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))[-1])


class Postgres(Service):
    """As the package of Debian has it, with a password, open to the hosts of the wire."""

    def __init__(self, host, log, password):
        self.data, self.socket = host.disk / "data", host.disk / "socket"
        user = "postgres" if run("id", "postgres", check=False).returncode == 0 else "nobody"
        self.as_user = ("setpriv", "--reuid", user, "--regid", run("id", "-gn", user).stdout.strip(),
                        "--clear-groups")
        words = [*self.as_user, program_of_postgresql("postgres"), "-D", self.data, "-c",
                 "listen_addresses=*", "-c", f"unix_socket_directories={self.socket}", "-c",
                 "fsync=off", "-c", "shared_buffers=16MB", "-c", "max_connections=60", "-c",
                 "max_wal_size=64MB", "-c", "min_wal_size=32MB"]
        self.socket.mkdir()
        shutil.chown(host.disk, user)
        shutil.chown(self.socket, user)
        secret = host.disk / "password"
        secret.write_text(password)
        shutil.chown(secret, user)
        run(*self.as_user, program_of_postgresql("initdb"), "-D", self.data, "--username", "kiln",
            "--auth-local", "trust", "--auth-host", "scram-sha-256", "--pwfile", secret, "--no-sync",
            "--wal-segsize", "4", "--encoding", "UTF8", "--locale", "C.UTF-8")
        with open(self.data / "pg_hba.conf", "a", encoding="ascii") as who:
            who.write(f"host all all {NET}.0/24 scram-sha-256\n")
        super().__init__(host, "postgres", words, {}, log, self.is_up)

    def is_up(self):
        return self.query("select 1", check=False) is not None

    def create(self, database):
        self.psql("postgres", f"create database {database}")

    def psql(self, database, sql, check=True):
        return run(program_of_postgresql("psql"), "--host", self.socket, "--username", "kiln",
                   "--no-psqlrc", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1",
                   "--command", sql, database, check=check)

    def query(self, sql, check=True):
        """Rows as dictionaries, read on its own host; None: it does not answer."""
        import json
        done = self.psql("kiln" if "from" in sql else "postgres",
                         f"select coalesce(json_agg(t), '[]') from ({sql}) t", check)
        return json.loads(done.stdout) if done.returncode == 0 else None
