"""What is done to a fleet while it works: drawn from a seed, told with its time, undone in the end.

A seed gives the same faults in the same order, at the same pauses; what each of them hits depends on the
moment.  What is under way on a host or between two is not begun there a second time.
"""
import collections
import contextlib
import os
import pathlib
import random
import re
import signal
import threading
import time

from fleet_kiln import DRAIN_SECONDS, LEASE_SECONDS, WORKERS

# How often each is drawn.
WEIGHTS = {"kill worker": 6, "kill child": 4, "drain worker": 4, "freeze worker": 2, "cut": 6,
           "lose lease": 2, "unplug": 2, "restart postgres": 2, "restart s3": 2, "restart registry": 2,
           "kill front": 2, "fill worker": 3, "fill other": 2}
# Who speaks to whom.
LINES = [("front", "postgres"), ("front", "s3"), ("front", "registry"), ("clients", "front"),
         ("clients", "s3"), *((w, other) for w in WORKERS for other in
                              ("postgres", "s3", "registry", "bases", "clients", "front"))]


def facts_of(pid):
    """The parent and the depth of pid namespaces of a process; None: it is gone."""
    with contextlib.suppress(OSError, AttributeError):
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        return (int(re.search(r"(?m)^PPid:\t(\d+)", status).group(1)),
                len(re.search(r"(?m)^NSpid:\t(.*)", status).group(1).split()))
    return None


def descendants(pid):
    """But for what runs inside the container of a RUN: who kills the user's command makes it fail."""
    children, depth = collections.defaultdict(list), {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit() and (facts := facts_of(entry.name)):
            children[facts[0]].append(int(entry.name))
            depth[int(entry.name)] = facts[1]
    found, todo = [], [pid]
    while todo:
        for child in children[todo.pop()]:
            todo.append(child)
            if depth[child] < depth.get(pid, 0) + 2:
                found.append(child)
    return found


class Faults:
    """A thread, for the length of a with block; after that nothing is done to anybody any more."""

    def __init__(self, fleet, options, tell):
        self.fleet, self.options, self.tell = fleet, options, tell
        self.random = random.Random(options.seed + 1)
        self.counts, self.busy, self.undoing = collections.Counter(), set(), []
        self.drains, self.problems = [], []
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self.guarded, args=(loop,), daemon=True)
                        for loop in (self.strike_forever, self.supervise)]

    def guarded(self, loop):
        try:
            loop()
        except Exception as error:  # pylint: disable=broad-exception-caught
            self.problems.append(f"{type(error).__name__}: {error}")
            raise

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *error):
        self.ended.set()
        for thread in self.threads:
            thread.join()
        for _, undo, _ in self.undoing:
            undo()
        self.undoing = []
        if not error[0]:
            self.tell("healed", "all that was done is undone")

    # ---- who keeps things alive, and undoes what is over ----

    def supervise(self):
        while not self.ended.wait(0.1):
            for service in list(self.fleet.services.values()):
                said = service.look()
                if said:
                    self.tell("service", f"{service.name} {said}")
            for item in list(self.undoing):
                due, undo, busy = item
                if time.monotonic() >= due:
                    self.undoing.remove(item)
                    undo()
                    self.busy -= set(busy)

    def later(self, seconds, undo, *busy):
        self.busy |= set(busy)
        self.undoing.append((time.monotonic() + seconds, undo, busy))

    # ---- faults ----

    def strike_forever(self):
        while not self.ended.wait(self.random.uniform(0.2, 2 * self.options.pause)):
            kind = self.random.choices(list(WEIGHTS), WEIGHTS.values())[0]
            # All is drawn whether or not it is used, so that a skipped fault changes none after it.
            draw = {"worker": self.random.choice(WORKERS), "line": self.random.choice(LINES),
                    "other": self.random.choice(("postgres", "registry", "s3")),
                    "seconds": round(self.length(), 1), "share": self.random.random()}
            if getattr(self, kind.replace(" ", "_"))(**draw):
                self.counts[kind] += 1

    def length(self):
        """Most are short, some are longer than a lease."""
        longest = self.options.longest
        return self.random.uniform(0.2, longest / 4 if self.random.random() < 0.75 else longest)

    def is_free(self, *what):
        return not self.busy & set(what)

    def start_again(self, name):
        self.fleet.services[name].start()
        self.tell("started", name)

    def kill_worker(self, worker, seconds, **_):
        if not self.is_free(worker):
            return False
        self.fleet.services[worker].kill()
        self.tell("killed", f"{worker}, by SIGKILL, to be started after {seconds / 3:.1f} s")
        self.later(seconds / 3, lambda: self.start_again(worker), worker)
        return True

    def kill_child(self, worker, share, **_):
        if not self.is_free(worker):
            return False
        found = sorted(descendants(self.fleet.services[worker].pid))
        if not found:
            return False
        victim = found[int(share * len(found))]
        with contextlib.suppress(OSError):
            name = pathlib.Path(f"/proc/{victim}/comm").read_text().strip()
            os.kill(victim, signal.SIGKILL)
            self.tell("killed", f"a child of {worker}: {name} {victim}")
            return True
        return False

    def drain_worker(self, worker, seconds, **_):
        if not self.is_free(worker):
            return False
        self.busy.add(worker)
        self.tell("drains", f"{worker}, by SIGTERM")
        threading.Thread(target=self.drain, args=(worker, seconds / 3), daemon=True).start()
        return True

    def drain(self, worker, seconds):
        service = self.fleet.services[worker]
        end = service.stop(DRAIN_SECONDS)
        if end and end[0] == 1 and service.last_line().startswith("kiln worker: "):
            self.tell("drained", f"{worker}, which had not come up")
        elif end is None or end[0] != 0:
            self.problems.append(f"{worker} did not end well after SIGTERM: {end}\n"
                                 + service.text()[-1500:])
        else:
            held = self.held_by(service)
            self.drains.append((end[1], held))
            self.tell("drained", f"{worker} in {end[1]:.1f} s; " + (
                "the database did not answer" if held is None else
                f"{held} builds are still its own"))
        self.later(seconds, lambda: self.start_again(worker), worker)

    def held_by(self, service):
        """How many builds it has a lease of, without being there any more."""
        rows = self.fleet.postgres.query(
            f"select id from builds where phase = 2 and worker like '%:{service.pid}:%' "
            f"and worker like '{service.name}/%'", check=False)
        return None if rows is None else len(rows)

    def freeze_worker(self, worker, seconds, **_):
        """As a machine that swaps, or whose virtual disk hangs: it comes back and knows of nothing."""
        if not self.is_free(worker):
            return False
        service = self.fleet.services[worker]
        service.send(signal.SIGSTOP)
        self.tell("froze", f"{worker} for {seconds} s")

        def thaw():
            service.send(signal.SIGCONT)
            self.tell("thawed", worker)
        self.later(seconds, thaw, worker)
        return True

    def cut(self, line, seconds, **_):
        if not self.is_free(line):
            return False
        a, b = (self.fleet.clients if n == "clients" else self.fleet.hosts[n] for n in line)
        self.fleet.wire.cut(a, b)
        self.tell("cut", f"{a.name} from {b.name} for {seconds} s")

        def join():
            self.fleet.wire.join(a, b)
            self.tell("joined", f"{a.name} and {b.name}")
        self.later(seconds, join, line)
        return True

    def lose_lease(self, worker, seconds, **_):
        """It goes on with what it does, and has the registry and S3, while others have its build."""
        return self.cut((worker, "postgres"), round(LEASE_SECONDS + 1 + seconds / 2, 1))

    def unplug(self, worker, other, share, seconds, **_):
        name = worker if share < 0.6 else other
        if not self.is_free(("plug", name)):
            return False
        self.fleet.wire.unplug(self.fleet.hosts[name])
        self.tell("unplugged", f"{name} for {seconds} s")

        def plug():
            self.fleet.wire.plug(self.fleet.hosts[name])
            self.tell("plugged", name)
        self.later(seconds, plug, ("plug", name))
        return True

    def restart_postgres(self, share, seconds, **_):
        if not self.is_free("postgres"):
            return False
        mode = signal.SIGINT if share < 0.5 else signal.SIGQUIT
        self.fleet.postgres.stop(30, mode)
        self.tell("stopped", f"postgres ({'fast' if share < 0.5 else 'immediate'}) for "
                             f"{seconds / 3:.1f} s")
        self.later(seconds / 3, lambda: self.start_again("postgres"), "postgres")
        return True

    def restart_s3(self, seconds, **_):
        if not self.is_free("s3"):
            return False
        self.fleet.s3_away()
        self.tell("stopped", f"s3 for {seconds / 2:.1f} s")

        def back():
            self.fleet.s3_back()
            self.tell("started", "s3")
        self.later(seconds / 2, back, "s3")
        return True

    def restart_registry(self, seconds, **_):
        if not self.is_free("registry"):
            return False
        self.fleet.services["registry"].kill()
        self.tell("killed", f"registry, to be started after {seconds / 2:.1f} s")
        self.later(seconds / 2, lambda: self.start_again("registry"), "registry")
        return True

    def kill_front(self, seconds, **_):
        if not self.is_free("front"):
            return False
        self.fleet.services["front"].kill()
        self.tell("killed", f"front, by SIGKILL, to be started after {seconds / 3:.1f} s")
        self.later(seconds / 3, lambda: self.start_again("front"), "front")
        return True

    def fill_worker(self, worker, share, seconds, **_):
        return self.fill(worker, share, seconds)

    def fill_other(self, other, share, seconds, **_):
        if other == "s3":
            return self.fill_s3(seconds)
        return self.fill(other, share, seconds)

    def fill(self, name, share, seconds):
        if not self.is_free(("disk", name)):
            return False
        host = self.fleet.hosts[name]
        leave = 0 if share < 0.5 else int((share - 0.5) * (8 << 20))
        host.fill(leave)
        self.tell("filled", f"the disk of {name} but for {leave >> 10} KiB, for {seconds} s")

        def empty():
            host.empty()
            self.tell("emptied", f"the disk of {name}")
        self.later(seconds, empty, ("disk", name))
        return True

    def fill_s3(self, seconds):
        """moto has no disk: it answers as a server with a full one does."""
        if not self.is_free("s3"):
            return False
        self.fleet.s3_faults({"status": 507, "method": "PUT", "count": 10**9})
        self.tell("filled", f"s3 (507 to every PUT) for {seconds} s")

        def empty():
            self.fleet.s3_faults()
            self.tell("emptied", "s3")
        self.later(seconds, empty, "s3")
        return True
