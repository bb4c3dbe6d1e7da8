#!/usr/bin/env python3
"""A fault at every file-changing call of a short run; then the same command goes on.

usage: enumerate.py PBT_MPI PBT_LINEAGE MPIEXEC SHIM [--points N] [--jobs N] [--log FILE]
                    [--launch first|second] [--only RANK:CALL:MODE] [--set KEY=VALUE ...]
                    [--seconds S]

Four members on two ranks train four generations with a checkpoint after each.  A run
without faults says how many calls each rank makes (shim.c counts).  Then, for each call and
each mode:

  kill     the rank dies before the call
  half     it dies when half of a write has arrived (files that are written whole)
  page     it dies when a write has arrived up to the end of a page of memory, which is where
           Linux cuts a write that a signal interrupts (files that grow: the lineage)
  short    half of a write arrives and the call says so
  enospc   the call fails, "no space left"; with +: and every later one that needs space
  eio      likewise, "input/output error"

What must hold after the fault: the launch ended, and an error in one line with code 74;
every generation that the live log tells of is in the lineage with the right numbers.  And
after the same command without the fault: it went on from the newest committed checkpoint,
lost no more than the generations since the last one that was due, finished, left nothing
behind, and came to the same lineage, the same final checkpoint and the same best model as
the run without faults, bit for bit.

--launch second puts the faults into a resume: the run before was killed in generation 3.

A point with a launch that does not end within two minutes is tried once more, with ten: right
then, it counts as slow (the machine was busy), else as what it is.  --seconds ends the
enumeration early; points come in random order then, so that those done stand for all.
"""
import argparse
import collections
import concurrent.futures
import os
import pathlib
import random
import re
import shutil
import sys
import tempfile
import time

import common

RANKS = 2
WRITES = ("write", "pwrite", "writev")
DEATHS = ("kill", "half", "page")
FREES = ("unlink", "rmdir", "remove")
PATIENCE = (120, 600)  # seconds for a launch, and when it is tried again
Point = collections.namedtuple("Point", "rank call mode")

parser = argparse.ArgumentParser()
parser.add_argument("program")
parser.add_argument("tool")
parser.add_argument("mpiexec")
parser.add_argument("shim")
parser.add_argument("--points", type=int)
parser.add_argument("--jobs", type=int, default=2)
parser.add_argument("--log")
parser.add_argument("--seconds", type=float)
parser.add_argument("--half", action="store_true", help="also in the middle of a page")
parser.add_argument("--launch", choices=("first", "second"), default="first")
parser.add_argument("--only", action="append", default=[])
parser.add_argument("--set", action="append", default=[], dest="settings")
options = parser.parse_args()
program, tool, shim = map(os.path.abspath, (options.program, options.tool, options.shim))
settings = dict(s.split("=", 1) for s in options.settings)
EVERY = int(settings.get("checkpoint.every", 1))
# With async a set may still be on its way when the next generation ends.
MAY_LOSE = EVERY * (2 if settings.get("checkpoint.async") == "true" else 1)


# ---------------------------------------------------------------- one launch


def command(extra=()):
    return ["job.toml", "--output", "run",
            *(word for s in options.settings for word in ("--set", s)), *extra]


def plain(folder, seconds=PATIENCE[1]):
    return common.launch([options.mpiexec, "-n", str(RANKS), program, *command()], folder,
                         seconds=seconds)


def shimmed(folder, seconds=PATIENCE[1], **order):
    environment = {"CRASH_UNDER": f"{folder}/run", "CRASH_LOG": f"{folder}/calls",
                   **{f"CRASH_{key.upper()}": str(value) for key, value in order.items()}}
    for log in pathlib.Path(folder).glob("calls.*"):
        log.unlink()
    return common.launch([options.mpiexec, "-n", str(RANKS), "env", f"LD_PRELOAD={shim}",
                          program, *command()], folder, environment, seconds)


def calls(folder, rank):
    """[(name, path)] of the calls that a rank made."""
    path = pathlib.Path(folder, f"calls.{rank}")
    lines = path.read_text().splitlines() if path.exists() else []
    return [tuple(line.split(" ")[1:3]) for line in lines]


def prepare(folder):
    """Makes the folder ready for the launch under test."""
    common.write_job(folder)
    if options.launch == "second":
        if not template.exists():
            return
        shutil.copytree(template, folder / "run")


# ---------------------------------------------------------------- what must hold


def check_fault(ended, point, fired):
    mode = point.mode.rstrip("+")
    if not fired:
        return [] if ended.code == 0 else [f"not reached, but exit code {ended.code}"]
    if mode in DEATHS:
        return [f"exit code {ended.code} after a kill"] if ended.code in (0, 70, 74) or \
            str(ended.code).startswith("none") else []
    if mode == "short" and ended.code == 0:
        return []
    if ended.code not in (0, 74):
        return [f"exit code {ended.code}"]
    if ended.code == 74 and len(ended.lines) != 1:
        return [f"{len(ended.lines)} lines of ours: {ended.lines}"]
    return [f"exit code 0 but a line: {ended.lines}"] if ended.code == 0 and ended.lines else []


Outcome = collections.namedtuple("Outcome", "found code fired slow")


def try_point(point, expected):
    if options.seconds and time.monotonic() - start > options.seconds:
        return None
    outcome = try_once(point, expected, PATIENCE[0])
    if outcome.slow:
        outcome = try_once(point, expected, PATIENCE[1])._replace(slow=True)
    return outcome


def try_once(point, expected, seconds):
    """What is wrong, the exit code, did the fault happen, did a launch not end in time."""
    with tempfile.TemporaryDirectory(prefix="pbt-crash-", dir=common.scratch()) as name:
        folder = pathlib.Path(name)
        run = folder / "run"
        prepare(folder)
        ended = shimmed(folder, seconds, rank=point.rank, at=point.call,
                        mode=point.mode.rstrip("+"), on=int(point.mode.endswith("+")))
        fired = len(calls(folder, point.rank)) >= point.call
        found = check_fault(ended, point, fired)
        left = common.Left(run)
        found += left.lineage_faults(tool, expected)
        again = plain(folder, seconds)
        found += left.faults(again, expected, MAY_LOSE)
        return Outcome(found, ended.code, fired, common.HUNG in (ended.code, again.code))


# ---------------------------------------------------------------- which points


def modes_of(name):
    yield "kill"
    if name == "pwrite":
        yield "page"
    if name in WRITES:
        if name != "pwrite" or options.half:
            yield "half"
        yield "short"
    if name not in FREES:
        yield "enospc"
        yield "enospc+"
    yield "eio"
    yield "eio+"


def all_points(made):
    return [Point(rank, k, mode) for rank in range(RANKS)
            for k, (name, _) in enumerate(made[rank], 1) for mode in modes_of(name)]


def kind_of(path):
    return re.sub(r"\d+", "0", path)


def some_points(made, n):
    """First and last of each rank, around each kind of rename and the manifest; the rest
    evenly over all."""
    chosen = []

    def add(*points):
        chosen.extend(p for p in points if p not in chosen)

    for rank in range(RANKS):
        add(Point(rank, 1, "kill"), Point(rank, len(made[rank]), "kill"))
        kinds = {}
        for k, (name, path) in enumerate(made[rank], 1):
            if name == "rename":
                kinds.setdefault(kind_of(path), []).append(k)
            if name == "write" and "manifest" in path and "2/" in path:
                add(Point(rank, k, "half"), Point(rank, k, "enospc"))
        for places in kinds.values():
            k = places[min(1, len(places) - 1)]  # of the second checkpoint
            add(Point(rank, k, "kill"), Point(rank, k + 1, "kill"))
    rest = [p for p in all_points(made) if p not in chosen]
    n = max(n - len(chosen), 0)
    add(*(rest[i * len(rest) // n] for i in range(n)))
    return chosen


# ---------------------------------------------------------------- all of them


def say(line):
    print(line, flush=True)
    if options.log:
        with open(options.log, "a") as log:
            log.write(line + "\n")


def one(name, words, folder):
    if words:
        say(f"FAILED  {name}: {'; '.join(words)}")
        sys.exit(1)
    return folder


def whole_run(folder):
    """The run without faults: its result, and the calls of each rank."""
    common.write_job(folder)
    ended = plain(folder)
    one("a run without faults", [] if ended.code == 0 and not ended.lines else [ended.tail()],
        folder)
    expected = common.result(folder / "run")
    shutil.rmtree(folder / "run")
    if options.launch == "second":  # die early in the last generation
        shimmed(folder)
        made = calls(folder, 0)
        third = [k for k, (name, path) in enumerate(made, 1)
                 if name == "write" and path == "/progress.jsonl"][2]
        shutil.rmtree(folder / "run")
        shimmed(folder, rank=0, at=third + 40, mode="kill")
        shutil.copytree(folder / "run", template)
    ended = shimmed(folder)
    made = [calls(folder, rank) for rank in range(RANKS)]
    one("a run under the shim",
        [] if ended.code == 0 else [ended.tail()], folder)
    one("a run under the shim", common.differences(expected, common.result(folder / "run")),
        folder)
    one("a run under the shim", [] if all(made) else ["no calls were counted"], folder)
    return expected, made


def main():
    global template
    with tempfile.TemporaryDirectory(prefix="pbt-crash-", dir=common.scratch()) as name:
        template = pathlib.Path(name, "template")
        expected, made = whole_run(pathlib.Path(name))
        points = all_points(made) if options.points is None else \
            some_points(made, options.points)
        if options.only:
            points = [Point(int(r), int(k), m) for r, k, m in
                      (only.split(":") for only in options.only)]
        say(f"{options.launch} launch{' with ' + ' '.join(options.settings) if settings else ''}"
            f": {' and '.join(str(len(m)) for m in made)} calls on ranks 0 and 1; "
            f"{len(points)} points")
        if options.seconds:
            random.Random(1).shuffle(points)
        counts, bad, slow = collections.Counter(), 0, 0
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            for point, outcome in zip(
                    points, pool.map(lambda p: try_point(p, expected), points)):
                if outcome is None:
                    continue
                kind = ("not reached" if not outcome.fired else "died" if point.mode in DEATHS
                        else f"exit code {outcome.code}")
                counts[(point.mode, kind)] += 1
                slow += outcome.slow and not outcome.found
                if outcome.found:
                    bad += 1
                    call = made[point.rank][point.call - 1] \
                        if point.call <= len(made[point.rank]) else ("?", "?")
                    say(f"FAILED  rank {point.rank}, call {point.call} "
                        f"({' '.join(call)}), {point.mode}: {'; '.join(outcome.found)}")
        for (mode, kind), n in sorted(counts.items()):
            say(f"  {mode:8} {n:5}  {kind}")
        say(f"{sum(counts.values())} of {len(points)} points, {bad} lost or wrong, {slow} slow, "
            f"{time.monotonic() - start:.0f} s")
    sys.exit(1 if bad else 0)


start = time.monotonic()
main()
