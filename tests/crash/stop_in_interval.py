#!/usr/bin/env python3
"""One rank of four is told to stop in an interval of a minute.

usage: stop_in_interval.py PBT_MPI PBT_LINEAGE MPIEXEC [--seconds N]

How many steps make a minute is measured first.  Once all train, one rank gets a signal:
USR1, then in another run TERM.  All ranks must leave with code 75, saved in mid-interval.
Asserted are the code, the one line, the checkpoint and a generous 30 s; the time it took is
printed.  Then the same with an interval of five seconds, which is resumed: it must come to
the result of a run that was never stopped, bit for bit.
"""
import argparse
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

import common

RANKS, LIMIT = 4, 30
parser = argparse.ArgumentParser()
parser.add_argument("program")
parser.add_argument("tool")
parser.add_argument("mpiexec")
parser.add_argument("--seconds", type=float, default=60)
options = parser.parse_args()
program = os.path.abspath(options.program)
command = [options.mpiexec, "-n", str(RANKS), program, "job.toml", "--output", "run"]


def ranks_of(launcher):
    """Our processes below a launcher, whatever it puts between."""
    found, look = [], [launcher]
    while look:
        out = subprocess.run(["ps", "-o", "pid=,comm=", "--ppid", str(look.pop())],
                             capture_output=True, text=True).stdout
        for line in out.splitlines():
            pid, name = line.split(None, 1)
            look.append(int(pid))
            found += [int(pid)] if name.startswith("pbt_mpi") else []
    return sorted(found)


def steps_per_second():
    with tempfile.TemporaryDirectory(prefix="pbt-stop-", dir=common.scratch()) as folder:
        common.write_job(folder, steps=3000, generations=3)
        ended = common.launch(command, folder)
        assert ended.code == 0, ended.tail()
        with common.hdf5, common.h5py.File(folder + "/run/lineage.h5", "r") as file:
            return 3000 / file["seconds/train"][1:].max()


def stop(folder, which, after):
    """Starts the job, signals one rank after some seconds of training; seconds it took."""
    job = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True)
    lineage = pathlib.Path(folder, "run/lineage.h5")
    while not lineage.exists() and job.poll() is None:
        time.sleep(0.02)
    time.sleep(after)
    os.kill(ranks_of(job.pid)[2], which)
    began = time.monotonic()
    output, _ = job.communicate(timeout=LIMIT)
    seconds = time.monotonic() - began
    ended = common.Ended(job.returncode, output)
    assert ended.code == 75, ended.tail()
    assert len(ended.lines) == 1 and which.name[3:] in ended.lines[0], ended.lines
    newest = common.sets(folder + "/run")[-1]
    assert "\ngeneration 0\n" in common.manifest(folder + "/run", newest)
    return seconds


def run_with(steps, which, after, finish):
    with tempfile.TemporaryDirectory(prefix="pbt-stop-", dir=common.scratch()) as folder:
        common.write_job(folder, steps=steps, generations=2)
        seconds = stop(folder, which, after)
        print(f"ok  {which.name}, an interval of {steps} steps: all stopped and saved after "
              f"{seconds:.2f} s", flush=True)
        if not finish:
            return
        ended = common.launch(command, folder, seconds=300)
        assert ended.code == 0 and ended.resumed_from() is not None, ended.tail()
        stopped = common.result(folder + "/run")
    with tempfile.TemporaryDirectory(prefix="pbt-stop-", dir=common.scratch()) as folder:
        common.write_job(folder, steps=steps, generations=2)
        ended = common.launch(command, folder, seconds=300)
        assert ended.code == 0, ended.tail()
        found = common.differences(common.result(folder + "/run"), stopped)
        assert not found, found
    print("ok  the resumed run is the uninterrupted one, bit for bit", flush=True)


speed = steps_per_second()
print(f"{speed:.0f} steps/s on each of {RANKS} ranks", flush=True)
for kind in (signal.SIGUSR1, signal.SIGTERM):
    run_with(int(speed * options.seconds), kind, 2.0, finish=False)
run_with(int(speed * 5), signal.SIGUSR1, 0.5, finish=True)
sys.exit(0)
