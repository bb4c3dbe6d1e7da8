#!/usr/bin/env python3
"""Every method in whole runs: the lineage is the same from 1, 2, 5 and 8 ranks, and after
a kill and a resume on other ranks.

Usage: methods_run.py PBT_MPI MPIEXEC [METHOD...]
"""
import os
import re
import subprocess
import sys
import tempfile
import time

import numpy as np

from whole_run import command, lineage, run, same_runs

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
    "mod": ["exploit.pairing=mod", "population.seeding=latin"],
    "none": ["exploit.kind=none", "explore.kind=none", "population.seeding=grid"],
    "mixed": ["explore.resample=0.5", "explore.who=all"],
    "weights": ["exploit.copy=weights"],
    "hparams": ["exploit.copy=hparams"],
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
    "ltfb": ["exploit.kind=ltfb", "exploit.share=0.2"],
    "rfa": DE + ["explore.kind=shade", "explore.trial_batches=1"],
}
WITH_TRIALS = ("de", "shade", "lshade", "ltfb", "rfa")
WITHOUT_COPIES = ("none", "hparams", "de", "shade", "lshade", "rfa", "cosine", "replay")
SIZE = {"mfpbt": 16}
ON_NETWORK = {
    "cosine": ["exploit.kind=none", "explore.kind=cosine"],
    "step": ["explore.kind=step"],
    "replay": ["exploit.kind=none", "explore.kind=replay", "search.lr.schedule=[0.1, 0.05, 0.02]",
               "search.label_smoothing.schedule=[0.1, 0.0, 0.0, 0.05]"],
}
# On a network: states of a real size, trials that train.
NETWORK = ["task.kind=classify", "network.kind=mlp", "data.train_size=1500",
           "data.test_size=300", "data.validation=0.2",
           "search.lr={kind = 'log', low = 1e-3, high = 0.3}",
           "search.label_smoothing={kind = 'choice', options = [0.0, 0.05, 0.1]}"]


def settings(words):
    return [word for setting in words for word in ("--set", setting)]


def killed_and_resumed(ranks, job, out, words):
    """Rank 1 is killed at its 14th scoring; others go on from the last checkpoint."""
    done = subprocess.run(command(2, job, "-o", out, *words), capture_output=True, text=True,
                          timeout=120, env=dict(os.environ, PBT_FAULT="evaluate:1:14:kill"))
    assert done.returncode != 0, done.stdout
    resumed = run(ranks, job, "-o", out, *words)
    assert "resumed from checkpoint" in resumed.stdout, resumed.stdout


def same_everywhere(job, size, words, folder):
    """The lineage, once all runs have left the same."""
    for ranks in (1, 2, 5, size):
        run(ranks, job, "-o", folder + "-%d" % ranks, *words)
        same_runs(folder + "-1", folder + "-%d" % ranks)
    killed_and_resumed(5, job, folder + "-killed", words)
    same_runs(folder + "-1", folder + "-killed")
    return lineage(folder + "-1")


def write_job(folder, size):
    job = os.path.join(folder, "method.toml")
    with open(job, "w") as file:
        file.write(JOB.format(size=size))
    return job


def check_methods_work(name, found):
    """What is the same everywhere is not the same because nothing happens."""
    values = [found[key] for key in found if key.startswith("hparam/")]
    assert any((value != value[0]).any() for value in values) == (name != "none"), name
    copied = found["parent"] != np.arange(found["parent"].shape[1])
    assert copied.any() == (name not in WITHOUT_COPIES), name
    left = np.isfinite(found["fitness"]).sum(axis=1)
    assert left[-1] == (4 if name == "lshade" else len(copied[0])), left


def test(name, folder):
    size = SIZE.get(name, 8)
    job = write_job(folder, size)
    check_methods_work(name, same_everywhere(job, size, settings(METHODS[name]), folder + "/toy"))
    if name not in WITH_TRIALS:
        return
    net = settings(METHODS[name] + NETWORK + ["budget.generations=5"])
    found = same_everywhere(job, size, net, folder + "/net")
    whole = net + settings({"ltfb": ["exploit.share=1"], "rfa": ["explore.trial_batches=0"]}.get(name, []))
    if whole != net: # the part that is scored matters
        run(1, job, "-o", folder + "/whole", *whole)
        other = lineage(folder + "/whole")
        assert any((found[key] != other[key]).any() for key in ("event", "hparam/lr")), name


def test_schedule(name, folder):
    job = write_job(folder, 8)
    words = settings(NETWORK + ON_NETWORK[name] + ["budget.generations=8"])
    found = same_everywhere(job, 8, words, folder + "/net")
    check_methods_work(name, found)
    lr = found["hparam/lr"]
    if name == "replay":
        assert (lr.T == [0.1, 0.05] + 6 * [0.02]).all(), lr
        smoothing = found["hparam/label_smoothing"]
        assert (smoothing.T == [0.1, 0, 0] + 5 * [0.05]).all(), smoothing
    if name == "cosine":
        assert (np.diff(lr, axis=0) <= 0).all(), lr
        assert np.allclose(lr[4], np.maximum(lr[0] / 2, 1e-3), rtol=1e-12), lr


def test_list():
    """Every method that --list names is tested here and told of in docs/algorithms.md."""
    docs = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/algorithms.md")
    with open(docs) as file:
        told = file.read()
    text = run(1, "--list").stdout
    used = " ".join(word for words in [*METHODS.values(), *ON_NETWORK.values()] for word in words)
    used += " exploit.kind=truncation guard.kind=none explore.kind=perturb population.seeding=random"
    for key, methods in re.findall(r"^(\S+)\n((?:  .*\n)+)", text, re.MULTILINE):
        for method in re.findall(r"^  (\w+)", methods, re.MULTILINE):
            assert re.search(r"%s=%s\b" % (re.escape(key), method), used), (key, method)
            assert key == "population.seeding" or '"%s"' % method in told, (key, method)


def main():
    for name in sys.argv[3:] or ["list", *METHODS, *ON_NETWORK]:
        with tempfile.TemporaryDirectory(prefix="pbt-") as folder:
            began = time.time()
            if name == "list":
                test_list()
            else:
                (test if name in METHODS else test_schedule)(name, folder)
            print("ok  %-20s %5.1f s" % (name, time.time() - began), flush=True)


if __name__ == "__main__":
    main()
