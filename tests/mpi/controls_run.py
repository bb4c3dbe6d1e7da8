#!/usr/bin/env python3
"""The controls of docs/algorithms.md, taken from its text, do what they are called after.

Usage: controls_run.py PBT_MPI MPIEXEC ALGORITHMS_MD
"""
import os
import re
import shlex
import sys
import tempfile

import numpy as np

from whole_run import lineage, run, write_job

NAMES = ("lr", "momentum", "label_smoothing")


def commands():
    """[words] by what the line's remark says."""
    with open(sys.argv[3]) as file:
        lines = re.findall(r"^    pbt_mpi JOB (.*?) +# (.*)$", file.read(), re.MULTILINE)
    return {remark: shlex.split(words) for words, remark in lines}


def values(found):
    return np.stack([found["hparam/" + name] for name in NAMES], axis=-1)


def copies(found):
    """Of weights: some member goes on from another's."""
    parent = found["parent"]
    return int((parent != np.arange(parent.shape[1])).sum())


def rows(array):
    return {tuple(row) for row in array.reshape(-1, len(NAMES))}


def constant(found):
    return (values(found) == values(found)[0]).all()


def random_search(found, recorded):
    assert copies(found) == 0 and constant(found)


def exploit_only(found, recorded):
    assert copies(found) > 0 and not constant(found)
    assert rows(values(found)) <= rows(values(found)[0])  # nothing but first values


def explore_only(found, recorded):
    assert copies(found) == 0
    assert (np.diff(found["hparam/lr"], axis=0) != 0).mean() > 0.8


def weights_only(found, recorded):
    assert copies(found) > 0 and constant(found)


def hparams_only(found, recorded):
    assert (found["digest_before"] == found["digest_after"]).all()  # own weights
    assert not constant(found) and not rows(values(found)) <= rows(values(found)[0])


def schedule(found, recorded):
    assert copies(found) == 0
    assert (values(found) == values(found)[:, :1]).all()  # all members alike
    winner = int(recorded["committed/best_member"][-1])
    last = int(recorded["committed/best_generation"][-1])
    assert (values(found)[last, 0] == values(recorded)[last, winner]).all()


def final(found, recorded):
    schedule(found, recorded)
    assert constant(found)


def falling(found, recorded):
    lr = found["hparam/lr"]
    assert copies(found) == 0 and (np.diff(lr, axis=0) <= 0).all()
    assert (lr[-1] < 0.2 * lr[0]).all() or (lr[-1] == lr[-1].min()).any()
    assert (found["hparam/momentum"] == found["hparam/momentum"][0]).all()


WANTED = {
    "random search": random_search,
    "exploit only": exploit_only,
    "explore only": explore_only,
    "weights only": weights_only,
    "hyperparameters only": hparams_only,
    "the schedule that RUN found": schedule,
    "its last values, held": final,
    "random search, lr falls as a cosine": falling,
    "random search, lr falls in steps": falling,
}


def main():
    listed = commands()
    assert listed.keys() == WANTED.keys(), listed.keys() ^ WANTED.keys()
    with tempfile.TemporaryDirectory(prefix="pbt-") as folder:
        job, recorded = write_job(folder, steps=8), os.path.join(folder, "recorded")
        run(1, job, "-o", recorded)
        for i, (name, words) in enumerate(listed.items()):
            out = os.path.join(folder, str(i))
            run(1, job, "-o", out, *[recorded if word == "RUN" else word for word in words])
            WANTED[name](lineage(out), lineage(recorded))
            print("ok  " + name, flush=True)


if __name__ == "__main__":
    main()
