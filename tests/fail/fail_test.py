#!/usr/bin/env python3
"""Every failure ends the job with one line, the right code, within seconds.

usage: fail_test.py jobs|data|faults|kills PBT_MPI MPIEXEC SOURCE_ROOT HDF5_DIES [NAME...]

jobs    each file of tests/fail/bad_jobs; its first line is "# expect: CODE words", the
        words being part of the one line that the job prints
data    a small valid IDX set, broken in one way at a time
faults  each site of docs/errors.md fails once; then the same command must finish the run
        with the same numbers as one that never failed: nothing half written was taken
        for whole
kills   likewise, but the process is killed there
"""
import contextlib
import gzip
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time

RANKS = 4
SECONDS = 60

kind, program, mpiexec, source, hdf5_dies = sys.argv[1:6]
only = sys.argv[6:]
program, source = os.path.abspath(program), pathlib.Path(source).resolve()
faults_found = []


class Ended:
    """How a job ended: exit code, its own lines, all of its output, seconds."""

    def __init__(self, arguments, folder, ranks=RANKS, **environment):
        command = [mpiexec, "-n", str(ranks), program, *map(str, arguments)]
        start = time.monotonic()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace", cwd=folder,
                              env={**os.environ, **environment}) as job:
            try:
                self.output, _ = job.communicate(timeout=SECONDS)
                self.code = job.returncode
            except subprocess.TimeoutExpired:
                job.kill()  # the ranks follow when their launcher is gone
                self.output, _ = job.communicate()
                self.code = "none: it hung"
        self.seconds = time.monotonic() - start
        self.lines = [line for line in self.output.splitlines()
                      if line.startswith("pbt_mpi:")
                      and not line.startswith("pbt_mpi: warning:")]

    def faults(self, code, words):
        """What is not as it should be, in words."""
        found = []
        if self.code != code:
            found.append(f"exit code {self.code}, not {code}")
        if len(self.lines) != 1:
            found.append(f"{len(self.lines)} lines of ours, not 1")
        elif words not in self.lines[0]:
            found.append(f"the line has no {words!r}")
        return found


def report(name, found, ended):
    line = ended.lines[0] if ended.lines else ""
    print(f"{'FAILED ' if found else 'ok     '} {name}  ({ended.seconds:.1f} s)  {line}",
          flush=True)
    if found:
        faults_found.append(name)
        print("        " + "; ".join(found))
        print("        " + "\n        ".join(ended.output.splitlines()[-25:]), flush=True)


def wanted(names):
    return [name for name in names if not only or name in only]


@contextlib.contextmanager
def scratch():
    with tempfile.TemporaryDirectory(prefix="pbt_fail_") as folder:
        yield pathlib.Path(folder)


# ---------------------------------------------------------------- bad job files


def bad_jobs():
    files = {f.name: f for f in sorted((source / "tests/fail/bad_jobs").iterdir())}
    for name in wanted(files):
        first = files[name].read_text(errors="replace").split("\n", 1)[0]
        expect = re.match(r"# expect: (\d+) (.*?)\s*$", first)
        if not expect:
            sys.exit(f"{files[name]}: the first line must be '# expect: CODE words'")
        with scratch() as folder:
            ended = Ended([files[name], "--output", folder / "run"], folder)
            found = ended.faults(int(expect[1]), expect[2])
            if (folder / "run/lineage.h5").exists():
                found.append("it left a lineage")
            report(name, found, ended)
    if not files:
        sys.exit("tests/fail/bad_jobs is empty")


# ---------------------------------------------------------------- bad data


def idx(magic, *dimensions, data):
    return struct.pack(f">{1 + len(dimensions)}I", magic, *dimensions) + data


def valid_set():
    """The four files of a set of 10 classes, images 28 x 28, like MNIST's."""
    made = {}
    for part, n in (("train", 300), ("t10k", 100)):
        labels = bytes(i % 10 for i in range(n))
        images = b"".join(bytes((l * 25 + i * 7 + p) % 256 for p in range(784))
                          for i, l in enumerate(labels))
        made[f"{part}-images-idx3-ubyte"] = idx(0x803, n, 28, 28, data=images)
        made[f"{part}-labels-idx1-ubyte"] = idx(0x801, n, data=labels)
    return made


IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def change(file, how):
    def apply(folder):
        path = folder / file
        path.write_bytes(how(path.read_bytes()))
    return apply


def swap(folder):
    images, labels = (folder / IMAGES).read_bytes(), (folder / LABELS).read_bytes()
    (folder / IMAGES).write_bytes(labels)
    (folder / LABELS).write_bytes(images)


def corrupt_gzip(folder):
    packed = bytearray(gzip.compress((folder / IMAGES).read_bytes()))
    packed[-6] ^= 0x10  # in the checksum
    (folder / IMAGES).unlink()
    (folder / (IMAGES + ".gz")).write_bytes(packed)


def truncated_gzip(folder):
    packed = gzip.compress((folder / LABELS).read_bytes())
    (folder / LABELS).unlink()
    (folder / (LABELS + ".gz")).write_bytes(packed[:-20])


def folder_instead(folder):
    (folder / IMAGES).unlink()
    (folder / IMAGES).mkdir()


# name -> (how the set is broken, exit code, words of the line)
BAD_DATA = {
    "truncated images": (change(IMAGES, lambda b: b[:-1000]), 65, IMAGES),
    "wrong magic": (change(IMAGES, lambda b: b"PK\3\4" + b[4:]), 65, IMAGES),
    "images and labels swapped": (swap, 65, "idx"),
    "fewer labels than images": (change(LABELS, lambda b: idx(0x801, 299, data=b[8:-1])),
                                 65, "299"),
    "bad gzip checksum": (corrupt_gzip, 65, IMAGES),
    "truncated gzip": (truncated_gzip, 65, LABELS),
    "label out of range": (change(LABELS, lambda b: b[:50] + b"\xc8" + b[51:]), 65, "200"),
    "images missing": (lambda folder: (folder / IMAGES).unlink(), 66, IMAGES),
    "no folder at all": (shutil.rmtree, 66, "set"),
    "empty file": (change(LABELS, lambda b: b""), 65, LABELS),
    "a folder instead of a file": (folder_instead, 65, IMAGES),
    "bytes left over": (change(IMAGES, lambda b: b + b"more"), 65, IMAGES),
    "test labels truncated": (change("t10k-labels-idx1-ubyte", lambda b: b[:-1]), 65,
                              "t10k-labels"),
}

IDX_JOB = """
name = "idx"
[population]
size = 4
[network]
kind = "mlp"
[data]
kind = "idx"
folder = "set"
[search.lr]
kind = "log"
low = 1e-3
high = 1e-1
[ready]
steps = 3
[budget]
generations = 2
"""


def data_job(folder):
    for name, data in valid_set().items():
        path = folder / "set" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    (folder / "job.toml").write_text(IDX_JOB)
    return ["job.toml", "--output", "run"]


def bad_data():
    with scratch() as folder:
        ended = Ended(data_job(folder), folder)
        report("the unbroken set", [] if ended.code == 0 and not ended.lines else
               [f"exit code {ended.code}"], ended)
    for name in wanted(BAD_DATA):
        breaks, code, words = BAD_DATA[name]
        with scratch() as folder:
            arguments = data_job(folder)
            breaks(folder / "set")
            ended = Ended(arguments, folder)
            report(name, ended.faults(code, words), ended)
    hdf5_that_dies()


def hdf5_that_dies():
    """A file that HDF5 crashes on costs one line, for a process of its own reads it first."""
    with scratch() as folder:
        (folder / "set.h5").write_bytes(b"not looked at")
        (folder / "job.toml").write_text(IDX_JOB.replace('"idx"\nfolder = "set"',
                                                         '"hdf5"\nfile = "set.h5"'))
        ended = Ended(["job.toml", "--output", "run"], folder,
                      LD_PRELOAD=os.path.abspath(hdf5_dies))
        found = ended.faults(65, "ended by signal 11")
        found += ["there is a run folder"] if (folder / "run").exists() else []
        report("HDF5 dies of the data set", found, ended)


# ---------------------------------------------------------------- faults on demand

FAULT_JOB = """
name = "fault"
seed = 11
[population]
size = 8
[network]
kind = "mlp"
hidden = [16]
[data]
kind = "digits"
train_size = 600
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
steps = 5
[budget]
generations = 6
[checkpoint]
every = 1
"""

# Where and when a site fires; those not named here: rank 1, second call.
WHERE = {
    "comm_open": "1:1",
    "comm_node_memory": "1:1",
    "comm_cast": "0:1",
    "best_write": "0:1",
    "lineage_commit": "0:2",
    "lineage_append": "0:3",
    "manifest_write": "0:2",
    "file_write": "0:3",
}
ONLY_WHEN_RESUMING = {"restore": "1:1"}
OTHER_WORDS = {"disagree": "different plans"}  # here a rank lies, and the others find it


def documented_sites():
    """Site -> exit code, from the table in docs/errors.md."""
    text = (source / "docs/errors.md").read_text()
    return {m[1]: int(m[2]) for m in
            re.finditer(r"^\| `(\w+)` \|.*\| (\d+) \|$", text, re.MULTILINE)}


def sites_in_source():
    return {m for f in (source / "src").rglob("*.c")
            for m in re.findall(r'pbt_fault\("(\w+)"', f.read_text())}


def numbers(folder):
    """What a run comes to: the lineage without its times, and the winner's weights."""
    import h5py
    found = {}

    def take(prefix):
        def visit(name, item):
            if isinstance(item, h5py.Dataset) and item.dtype.names is None:
                found[prefix + name] = (item.shape, item[()].tobytes()
                                        if item.dtype.kind in "iuf" else repr(item[()]))
        return visit

    with h5py.File(folder / "run/lineage.h5") as file:
        file.visititems(take("lineage/"))
    with h5py.File(folder / "run/best.h5") as file:
        file.visititems(take("best/"))
    return {k: v for k, v in found.items() if "second" not in k and "time" not in k}


def differences(expected, got):
    names = [n for n in sorted(expected.keys() | got.keys()) if expected.get(n) != got.get(n)]
    return [f"after resuming, these differ: {', '.join(names[:6])}"] if names else []


def fault_job(folder):
    (folder / "job.toml").write_text(FAULT_JOB)
    return ["job.toml", "--output", "run"]


def finish(arguments, folder, expected):
    """The same command without the fault: done, and with the uninterrupted run's numbers."""
    ended = Ended(arguments, folder)
    if ended.code != 0 or ended.lines:
        return [f"resuming gave exit code {ended.code}: "
                + " | ".join(ended.output.splitlines()[-8:])]
    left = sorted(p.name for p in (folder / "run").rglob("*.tmp"))
    return ([f"left over: {left}"] if left else []) + differences(expected, numbers(folder))


def uninterrupted():
    with scratch() as folder:
        ended = Ended(fault_job(folder), folder)
        report("a run without faults", [] if ended.code == 0 and not ended.lines else
               [f"exit code {ended.code}"], ended)
        if ended.code != 0:
            sys.exit(1)
        return numbers(folder)


def faults():
    sites = documented_sites()
    for site in sorted(sites.keys() ^ sites_in_source()):
        print(f"FAILED  {site} is in only one of docs/errors.md and src/")
        faults_found.append(site)
    expected = uninterrupted()
    for site in wanted(sites):
        with scratch() as folder:
            arguments = fault_job(folder)
            where = WHERE.get(site, "1:2")
            if site in ONLY_WHEN_RESUMING:
                Ended(arguments, folder, PBT_FAULT="train:2:10:kill")
                where = ONLY_WHEN_RESUMING[site]
            ended = Ended(arguments, folder, PBT_FAULT=f"{site}:{where}")
            found = ended.faults(sites[site],
                                 OTHER_WORDS.get(site, f"injected fault at {site}"))
            found += finish(arguments, folder, expected)
            report(f"{site}:{where}", found, ended)


# Where the death of a process could leave something half done.
KILLS = ["train:2:7", "evaluate:1:5", "transfer:3:2", "checkpoint_write:1:2",
         "checkpoint_write:0:3", "manifest_write:0:1", "manifest_write:0:3",
         "lineage_append:0:1", "lineage_append:0:4", "lineage_commit:0:1", "lineage_commit:0:3",
         "best_write:0:1", "file_write:0:2",
         "file_write:0:6", "comm_allgather:3:4"]


def kills():
    # A launcher's exit code after a SIGKILL: 137 by Open MPI, 9 by MPICH.
    expected = uninterrupted()
    for where in wanted(KILLS):
        with scratch() as folder:
            arguments = fault_job(folder)
            ended = Ended(arguments, folder, PBT_FAULT=f"{where}:kill")
            found = [] if ended.code in (137, 9) else [f"exit code {ended.code}, not 137"]
            found += finish(arguments, folder, expected)
            report(where, found, ended)


if kind in ("faults", "kills"):
    try:
        import h5py  # noqa: F401  (to compare runs)
    except ImportError:
        print("SKIP: python3-h5py is not installed")
        sys.exit(77)
{"jobs": bad_jobs, "data": bad_data, "faults": faults, "kills": kills}[kind]()
sys.exit(1 if faults_found else 0)
