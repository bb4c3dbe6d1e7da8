"""What the crash tests share: a small job, its launch, and what a run comes to.

A run is the same as another when the lineage's arrays (but times), the files of the newest
checkpoint and best.h5 are equal, bit for bit.  Two equal runs leave equal files, so the
digests that the manifest holds tell it.
"""
import os
import pathlib
import re
import subprocess
import sys
import threading

try:
    import h5py
except ImportError:
    print("SKIP: h5py is not installed")
    sys.exit(77)

JOB = """
name = "crash"
seed = 11
[population]
size = {members}
[network]
kind = "mlp"
hidden = [16]
[data]
kind = "digits"
train_size = 300
test_size = 100
validation = 0.2
[search.lr]
kind = "log"
low = 1e-3
high = 1e-1
[search.momentum]
kind = "real"
low = 0.5
high = 0.9
[ready]
steps = {steps}
[budget]
generations = {generations}
[checkpoint]
every = 1
"""
HUNG = "none: it hung"  # where an exit code stands
hdf5 = threading.Lock()  # h5py is used from several threads


def write_job(folder, members=4, steps=5, generations=4):
    path = pathlib.Path(folder, "job.toml")
    path.write_text(JOB.format(members=members, steps=steps, generations=generations))
    return path


def scratch():
    """Where run folders lie: in memory if that can be, for every file is brought to disk."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class Ended:
    """How a launch ended: exit code, what it printed, its own lines, its warnings."""

    def __init__(self, code, output):
        self.code, self.output = code, output
        own = [line for line in output.splitlines() if line.startswith("pbt_mpi:")]
        self.warnings = [line for line in own if line.startswith("pbt_mpi: warning:")]
        self.lines = [line for line in own if line not in self.warnings]

    def resumed_from(self):
        """The checkpoint it went on from and its generation, or None."""
        for line in self.output.splitlines():
            if line.startswith("resumed from checkpoint "):
                words = line.replace(",", "").split()
                return int(words[3]), int(words[5])
        return None

    def tail(self):
        return " | ".join(self.output.splitlines()[-12:])


def launch(command, folder, environment=None, seconds=300):
    job = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, errors="replace",
                           env={**os.environ, **(environment or {})})
    try:
        output, _ = job.communicate(timeout=seconds)
        return Ended(job.returncode, output)
    except subprocess.TimeoutExpired:
        job.kill()  # the ranks follow when their launcher is gone
        output, _ = job.communicate()
        return Ended(HUNG, output)


def sets(run):
    """The numbers of the checkpoints that have a manifest, ascending."""
    return sorted(int(m.parent.name) for m in pathlib.Path(run).glob("checkpoints/*/manifest"))


def manifest(run, number):
    return pathlib.Path(run, "checkpoints", f"{number:06d}", "manifest").read_text()


def generations_logged(run):
    """Generations that were told to the world: whole lines of the live log."""
    path = pathlib.Path(run, "progress.jsonl")
    return path.read_text().count("\n") if path.exists() else 0


def lineage(run, generations=None):
    """Every array of a lineage but times, of the first generations or all."""
    found = {}

    def take(name, item):
        if not isinstance(item, h5py.Dataset) or name.startswith("seconds/"):
            return
        rows = item[:n]
        if item.dtype.names is None:
            found[name] = (rows.shape, rows.tobytes())
        elif name == "committed":
            for field in item.dtype.names:
                if "time" not in field:
                    found[f"committed.{field}"] = (rows.shape, rows[field].tobytes())

    with hdf5, h5py.File(pathlib.Path(run, "lineage.h5"), "r", swmr=True) as file:
        n = len(file["committed"]) if generations is None else generations
        file.visititems(take)
    return found


def result(run):
    """What a finished run comes to: name -> bytes."""
    found = lineage(run)
    newest = sets(run)[-1]
    for line in manifest(run, newest).splitlines():
        words = line.split()
        if words[0] in ("generation", "members", "finished"):
            found[words[0]] = words[1]
        if words[0] == "file" and words[1] != "job.toml":
            found[words[1]] = words[2:]
    found["RUN/best.h5"] = pathlib.Path(run, "best.h5").read_bytes()
    return found


class Left:
    """What a launch that came to a bad end left: to be looked at before the next one."""

    def __init__(self, run):
        self.run = pathlib.Path(run)
        self.logged = generations_logged(run)
        numbers = sets(run)
        self.newest = numbers[-1] if numbers else None
        self.finished = bool(numbers) and "\nfinished 1\n" in manifest(run, self.newest)

    def lineage_faults(self, tool, expected):
        """All generations of the live log are in the lineage, with the right numbers."""
        if self.logged == 0:
            return []
        try:  # h5py would wait for ever for a damaged file
            done = subprocess.run([tool, "summary", str(self.run), "--json"],
                                  capture_output=True, text=True, timeout=300)
            found = re.search(r'"generations": (\d+)', done.stdout)
            if done.returncode != 0 or found is None:
                return [f"the lineage cannot be read: {done.stderr.strip()}"]
            if int(found[1]) < self.logged:
                return [f"the live log tells of {self.logged} generations, the lineage of "
                        f"{found[1]}"]
            got = lineage(self.run, self.logged)
        except (subprocess.TimeoutExpired, OSError) as error:
            return [f"the lineage cannot be read: {error}"]
        wrong = [name for name, (_, data) in got.items()
                 if data != expected[name][1][:len(data)]]
        return [f"wrong in the lineage: {', '.join(wrong)}"] if wrong else []

    def faults(self, again, expected, may_lose=1):
        """What is wrong with the launch after it, which should have finished the run."""
        if again.code != 0 or again.lines:
            return [f"going on gave exit code {again.code}: {again.tail()}"]
        found = []
        came_from = again.resumed_from()
        if not self.finished:
            if self.newest is not None and (came_from or (0,))[0] != self.newest:
                found.append(f"went on from {came_from}, but checkpoint {self.newest} was "
                             "committed")
            if self.logged - (came_from[1] if came_from else 0) > may_lose:
                found.append(f"lost {self.logged} generations, went on from {came_from}")
        strange = [w for w in again.warnings if not any(
            known in w for known in ("took over", "old checkpoints", "not used"))]
        if strange:
            found.append(f"warned: {strange}")
        left = leftovers(self.run)
        if left:
            found.append(f"left behind: {', '.join(left)}")
        return found + differences(expected, result(self.run))


def differences(expected, got):
    names = [n for n in sorted(expected.keys() | got.keys()) if expected.get(n) != got.get(n)]
    return [f"these differ from the uninterrupted run: {', '.join(names[:6])}"] if names else []


def leftovers(run):
    """Files that a finished run must not leave."""
    names = [p.relative_to(run).as_posix() for p in pathlib.Path(run).rglob("*")]
    return sorted(n for n in names if n.endswith((".tmp", ".new", ".prev"))
                  or n.startswith("lock"))
