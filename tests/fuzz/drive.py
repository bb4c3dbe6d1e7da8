#!/usr/bin/env python3
"""Runs one fuzz target until its goal, going on after crashes inside libhdf5.

usage: drive.py --runs N | --seconds S BUILD TARGET

Prints one line: executions, crashes of ours and of libhdf5.  Each crash's report and
input stay in BUILD/finds/TARGET.  Ends with 1 if there is one of ours.
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument("--runs", type=int)
parser.add_argument("--seconds", type=float)
parser.add_argument("build", type=pathlib.Path)
parser.add_argument("target")
arguments = parser.parse_args()
build, target = arguments.build, arguments.target
finds = build / "finds" / target
corpus, seeds = build / "corpus" / target, build / "seeds" / target

for folder in (finds, corpus):
    folder.mkdir(parents=True, exist_ok=True)
# HDF5 leaks on damaged files; memory of ours is counted by the targets themselves.
environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1"}
begin = time.monotonic()
done, number, ours, theirs = 0, 0, {}, {}


def place(report):
    """The innermost frame that is not the sanitizer's or the C library's."""
    for name, where in re.findall(r"^\s*#\d+ 0x[0-9a-f]+ in (\S+) (.*)$", report, re.M):
        if not re.search(r"sanitizer|__interceptor_|libc\.so|/libc|libFuzzer|compiler-rt|libz\.so|asan|"
                         r"fuzzer::", name + where):
            return name, where
    return "?", ""


while True:
    left = arguments.runs - done if arguments.runs else 0
    spent = time.monotonic() - begin
    if (arguments.runs and left <= 0) or (arguments.seconds and
                                          spent >= arguments.seconds):
        break
    goal = ([f"-runs={left}"] if arguments.runs else
            [f"-max_total_time={max(1, round(arguments.seconds - spent))}"])
    number += 1
    run = subprocess.run(
        [build / "tests/fuzz" / f"fuzz_{target}", *goal, f"-seed={int(time.time())}",
         "-timeout=25", "-rss_limit_mb=4096", "-malloc_limit_mb=3000", "-max_len=65536",
         "-print_final_stats=1", "-verbosity=1", f"-artifact_prefix={finds}/{number}-",
         corpus, seeds], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        errors="replace", check=False, env=environment)
    report = run.stderr
    counts = re.findall(r"^#(\d+)\s", report, re.M)
    stats = re.search(r"stat::number_of_executed_units: (\d+)", report)
    done += int(stats[1]) if stats else int(counts[-1]) if counts else 1
    if run.returncode == 0:
        continue
    name, where = place(report)
    kind = theirs if "libhdf5" in where else ours
    key = f"{name} {where.split('/')[-1]}"
    kind[key] = kind.get(key, 0) + 1
    (finds / f"{number}-report.txt").write_text(report[-20000:])
    if kind is ours:
        print(report[-4000:], file=sys.stderr)
        break

print(f"{target}: {done} executions in {time.monotonic() - begin:.0f} s, "
      f"{sum(ours.values())} crashes of ours, {sum(theirs.values())} in libhdf5",
      *(f"\n  {n} x {key}" for key, n in {**ours, **theirs}.items()), flush=True)
sys.exit(1 if ours else 0)
