#!/usr/bin/env python3
"""Processes of a run are killed at a random moment; then the same command goes on.

usage: kills.py PBT_MPI PBT_LINEAGE MPIEXEC [--kills N] [--seconds S] [--seed S]
                [--log FILE]

Eight members on 4 or 8 ranks.  What gets SIGKILL in turn: one rank, mpirun, or everything
at once.  After it no process may stay for more than seconds, nothing in shared memory but
where the launcher itself was killed, and the next launch must come to the result of a run
without kills, bit for bit.
"""
import argparse
import collections
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

import common

NAME = os.path.basename(sys.argv[1])[:15]  # as the kernel has it
SECONDS = 120  # until all processes must be gone; one or two in truth, on an idle machine

parser = argparse.ArgumentParser()
parser.add_argument("program")
parser.add_argument("tool")
parser.add_argument("mpiexec")
parser.add_argument("--kills", type=int, default=100)
parser.add_argument("--seconds", type=float, default=1e9, help="then no more are begun")
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--log")
options = parser.parse_args()
program, tool = os.path.abspath(options.program), os.path.abspath(options.tool)


def command(ranks):
    return [options.mpiexec, "-n", str(ranks), program, "job.toml", "--output", "run"]


def session(leader):
    """Living processes of a session: pid -> name."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            text = pathlib.Path("/proc", entry, "stat").read_text()
        except OSError:
            continue
        name, rest = text[text.index("(") + 1:text.rindex(")")], text[text.rindex(")") + 2:]
        if int(rest.split()[3]) == leader and rest[0] not in "ZX":
            found[int(entry)] = name
    return found


def await_moment(job, run, rng, usual):
    """Waits for a random time of the run: of its start, or as long after a generation as one
    takes.  Told by the run itself, for a busy machine is slow."""
    generation = rng.randrange(-2, JOB["generations"])
    while job.poll() is None and common.generations_logged(run) <= generation:
        time.sleep(0.001)
    time.sleep(rng.uniform(0, 4 if generation < 0 else 1) * usual)


def one_kill(number, rng, expected, usual):
    """(what was killed, words about what is wrong, generations there were)."""
    ranks = (4, 8)[number % 2]
    victim = ("rank", "launcher", "everything")[number % 3]
    with tempfile.TemporaryDirectory(prefix="pbt-kills-", dir=common.scratch()) as name:
        folder = pathlib.Path(name)
        memory = folder / "memory"  # Open MPI's shared memory, where we can see it
        memory.mkdir()
        common.write_job(folder, **JOB)
        job = subprocess.Popen(
            command(ranks), cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, "OMPI_MCA_btl_vader_backing_directory": str(memory)})
        await_moment(job, folder / "run", rng, usual[ranks] / JOB["generations"])
        there, of_ranks = session(job.pid), []
        while not of_ranks and there:  # too early for a rank: a moment later
            there = session(job.pid)
            of_ranks = [pid for pid, its in there.items() if its == NAME]
            job.poll()
        killed = {"rank": rng.sample(of_ranks, min(1, len(of_ranks))),
                  "launcher": [job.pid],
                  "everything": rng.sample(list(there), len(there))}[victim]
        for pid in killed:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        began = time.monotonic()
        found = []
        while session(job.pid) and time.monotonic() - began < SECONDS:
            job.poll()
            time.sleep(0.02)
        stay = session(job.pid)
        if stay:
            found.append(f"processes stay: {stay}")
        for pid in stay:
            os.kill(pid, signal.SIGKILL)
        job.wait()
        seconds = time.monotonic() - began
        files = [p.name for p in memory.rglob("*") if p.is_file()]
        if files and victim == "rank":
            found.append(f"left in shared memory: {files}")
        left = common.Left(folder / "run")
        found += left.lineage_faults(tool, expected)
        found += left.faults(common.launch(command(ranks), folder, seconds=900), expected)
        kind = f"{victim}, {ranks} ranks" if of_ranks else "too late"
        return kind, found, left, seconds, len(files)


JOB = {"members": 8, "steps": 60, "generations": 12}


def say(line):
    print(line, flush=True)
    if options.log:
        with open(options.log, "a") as log:
            log.write(line + "\n")


def uninterrupted():
    usual = {}
    for ranks in (8, 4):
        with tempfile.TemporaryDirectory(prefix="pbt-kills-", dir=common.scratch()) as folder:
            common.write_job(folder, **JOB)
            began = time.monotonic()
            ended = common.launch(command(ranks), folder)
            usual[ranks] = time.monotonic() - began
            if ended.code != 0 or ended.lines:
                say(f"FAILED  a run without kills: {ended.tail()}")
                sys.exit(1)
            expected = common.result(pathlib.Path(folder, "run"))
    return expected, usual


def main():
    expected, usual = uninterrupted()
    rng = random.Random(options.seed)
    counts, slowest = collections.defaultdict(lambda: [0, 0, 0]), 0.0
    bad = generations = finished = done = 0
    start = time.monotonic()
    for number in range(options.kills):
        if time.monotonic() - start > options.seconds:
            break
        done += 1
        kind, found, left, seconds, files = one_kill(number, rng, expected, usual)
        print(f"{number}: {kind}: {'; '.join(found) or 'fine'}", flush=True)
        counts[kind][0] += 1
        counts[kind][1] += not found
        counts[kind][2] += files
        slowest = max(slowest, seconds)
        generations += left.logged
        finished += left.finished
        if found:
            bad += 1
            say(f"FAILED  kill {number}, {kind}, after {left.logged} generations: "
                + "; ".join(found))
    for kind, (n, fine, files) in sorted(counts.items()):
        say(f"  {kind:20} {n:3} killed, {fine:3} resumed to the same end, "
            f"{files} files left in shared memory")
    say(f"{done} kills, {bad} lost or wrong; after {generations / max(done, 1):.1f} "
        f"of {JOB['generations']} generations on average, {finished} in runs that were done; "
        f"all processes gone after {slowest:.1f} s at most")
    sys.exit(1 if bad else 0)


main()
