#!/usr/bin/env python3
"""Every method in whole runs: the lineage is the same from 1, 2, 5 and 8 ranks, and after
a kill and a resume on other ranks.

Usage: methods_run.py PBT_MPI MPIEXEC [METHOD...]
"""
import os
import signal
import subprocess
import sys
import tempfile
import time

from whole_run import command, children, lineage, run, same_runs, wait_for_generations

JOB = """
name = "method"
seed = 7
[population]
size = {size}
[task]
kind = "toy"
[toy]
surface = "deceptive"
[search.h]
kind = "real"
low = 1e-4
high = 1.1
[ready]
steps = 20
[budget]
generations = 14
"""
DE = ["exploit.kind=none", "explore.trial_steps=4"]
METHODS = {
    "truncation": [],
    "rank": ["exploit.pairing=rank"],
    "tournament": ["exploit.kind=tournament"],
    "ttest": ["exploit.kind=ttest", "exploit.window=4", "exploit.level=0.3"],
    "welch": ["guard.kind=welch", "guard.window=3", "guard.level=0.2"],
    "dexpbt": ["guard.kind=dexpbt", "guard.gain=0.01"],
    "normal": ["explore.kind=normal", "explore.who=all"],
    "sobol": ["population.seeding=sobol", "explore.kind=resample"],
    "de": DE + ["explore.kind=de"],
    "shade": DE + ["explore.kind=shade"],
    "lshade": DE + ["explore.kind=lshade", "explore.evaluations=60"],
    "pb2": ["explore.kind=pb2"],
    "mfpbt": ["exploit.kind=mfpbt", "exploit.periods=[1, 3]"],
}
SIZE = {"mfpbt": 16}
# On a network: states of a real size, trials that train.
NETWORK = ["task.kind=classify", "network.kind=mlp", "data.train_size=1500",
           "data.test_size=300", "data.validation=0.2",
           "search.lr={kind = 'log', low = 1e-3, high = 0.3}",
           "search.label_smoothing={kind = 'choice', options = [0.0, 0.05, 0.1]}"]


def settings(words):
    return [word for setting in words for word in ("--set", setting)]


def killed_and_resumed(job, words, folder, ranks):
    out = folder + "/killed"
    process = subprocess.Popen(command(2, job, "-o", out, *words), stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    wait_for_generations(out, 4, process)
    for child in children(process.pid)[:1]:
        try:
            os.kill(child, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it had finished: then the run is merely told again
    process.wait(30)
    run(ranks, job, "-o", out, *words)


def test(name, folder):
    size = SIZE.get(name, 8)
    job = os.path.join(folder, "method.toml")
    with open(job, "w") as file:
        file.write(JOB.format(size=size))
    words = settings(METHODS[name])
    for ranks in (1, 2, 5, size):
        run(ranks, job, "-o", folder + "/%d" % ranks, *words)
        same_runs(folder + "/1", folder + "/%d" % ranks)
    killed_and_resumed(job, words, folder, 5)
    same_runs(folder + "/1", folder + "/killed")
    moved = lineage(folder + "/1")["parent"]
    moves = lineage(folder + "/1")["next/h"] if "next/h" in lineage(folder + "/1") else None
    assert (moved != range(size)).any() or moves is None or (moves != moves[0]).any(), name
    if any(word.startswith("explore.kind=") and word.endswith(("de", "ade")) for word in words):
        net = settings(METHODS[name] + NETWORK + ["budget.generations=5"])
        for ranks in (1, 3):
            run(ranks, job, "-o", folder + "/net%d" % ranks, *net)
        same_runs(folder + "/net1", folder + "/net3")


def main():
    for name in sys.argv[3:] or METHODS:
        with tempfile.TemporaryDirectory(prefix="pbt-") as folder:
            began = time.time()
            test(name, folder)
            print("ok  %-20s %5.1f s" % (name, time.time() - began), flush=True)


if __name__ == "__main__":
    main()
