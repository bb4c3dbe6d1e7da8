#!/usr/bin/env python3
"""How a job ends: exit code, one line, no hang, nothing left in /dev/shm.

usage: comm_ending_test.py COMM_ENDING MPIEXEC
"""
import os
import subprocess
import sys
import time

program, mpiexec = sys.argv[1:3]
failures = []


def check(name, condition, detail=""):
    print(("ok      " if condition else "FAILED  ") + name, "" if condition else detail)
    if not condition:
        failures.append(name)


def left_behind(before):
    """New files in /dev/shm that are not an MPI's segments of other jobs; other tests have
    folders there."""
    new = set(os.listdir("/dev/shm")) - before
    return sorted(n for n in new if not n.startswith(("vader_segment.", "sem.", "mpich_shar"))
                  and not os.path.isdir("/dev/shm/" + n))


def end(how, ranks=3, **environment):
    """Exit code, our lines on stderr, seconds."""
    start = time.monotonic()
    command = [mpiexec, "-n", str(ranks), program, how] if ranks else [program, how]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50,
                          env={**os.environ, **environment})
    lines = [l for l in done.stderr.splitlines() if l.startswith("pbt_mpi:")]
    return done.returncode, lines, time.monotonic() - start


shm = set(os.listdir("/dev/shm"))

code, lines, _ = end("close")
check("an orderly end is 0 and silent", (code, lines) == (0, []), (code, lines))

code, lines, seconds = end("die")
check("die ends all ranks with the status' code", code == 74, code)
check("die prints one line", len(lines) == 1, lines)
check("the line has rank and reason",
      lines and lines[0].startswith("pbt_mpi: rank 2 (")
      and lines[0].endswith("): the disk of rank 2 is full"), lines)
check("die is quick", seconds < 20, seconds)

for given, expected in (("0", 70), ("300", 70), ("126", 70), ("-1", 70), ("125", 125)):
    code, lines, _ = end("die-code", CODE=given)
    check(f"die({given}) is {expected}", code == expected and len(lines) == 1, (code, lines))

code, lines, _ = end("die-early", ranks=0)
check("die before open, alone", (code, lines) == (64, ["pbt_mpi: no such option"]),
      (code, lines))

code, lines, seconds = end("kill")
check("a killed rank ends the job", code in (137, 9), code)  # Open MPI's and MPICH's
check("within seconds", seconds < 20, seconds)
check("nothing of ours stays in /dev/shm", left_behind(shm) == [], left_behind(shm))

sys.exit(1 if failures else 0)
