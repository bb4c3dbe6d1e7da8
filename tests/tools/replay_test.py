#!/usr/bin/env python3
"""A replayed schedule does again, bit for bit, what a member did that was never replaced;
the job file of `best --job` and `pbt_mpi --replay` are the same run; the instructions that
`best` prints work.

Usage: replay_test.py PBT_LINEAGE MAKE_LINEAGE PBT_MPI
"""
import os
import pathlib
import subprocess
import sys

import numpy as np

from common import Lineage, call, folder, make

program = os.path.abspath(sys.argv[3])
JOB = """
name = "to replay"
seed = 3
output = "{output}"
[population]
size = 6
[task]
metric = "loss"
[network]
kind = "mlp"
hidden = [24]
[data]
train_size = 1200
test_size = 200
validation = 0.2
[search.lr]
kind = "log"
low = 1e-3
high = 0.3
[search.momentum]
kind = "real"
low = 0.0
high = 0.95
[search.label_smoothing]
kind = "choice"
options = [0.0, 0.05, 0.1]
[exploit]
kind = "tournament"
copy = "{copy}"
[explore]
who = "all"
[ready]
steps = 15
[budget]
generations = {generations}
"""


def train(*words):
    done = subprocess.run([program, *map(str, words)], capture_output=True, text=True,
                          timeout=120)
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout


def record(where, generations, copy="both"):
    """A run whose members all move their values at every ready step."""
    job = where / "job.toml"
    job.write_text(JOB.format(output=where / "run", copy=copy, generations=generations))
    train(job)
    return where / "run", job


def column(run, name):
    import h5py
    with h5py.File(pathlib.Path(run, "lineage.h5"), "r") as file:
        return file[name][()]


def never_replaced(lineage):
    own = np.arange(lineage.members)
    kept = (lineage.parent == own).all(axis=0)
    return [int(m) for m in own[kept]]


def same_path(a, b, member):
    for name in ("fitness", "validation_loss", "validation_accuracy", "training_loss",
                 "digest_before", "hparam/lr", "hparam/momentum", "hparam/label_smoothing"):
        left, right = column(a, name)[:, member], column(b, name)[:, member]
        assert left.tobytes() == right.tobytes(), (name, member, left, right)


def a_member_that_was_never_replaced_does_it_again():
    where = folder("bitwise")
    run, job = record(where, 5)
    members = never_replaced(Lineage(run))
    assert members, "the tournament replaced everybody: take another seed"
    for member in members:
        path = where / f"replay-{member}.toml"
        path.write_text(call("best", run, "--member", member, "--job"))
        moved = column(run, "hparam/lr")[:, member]
        assert len(set(moved)) > 2, moved  # a schedule, not a setting
        train(path, "--output", where / "again")
        same_path(run, where / "again", member)
        # --replay of pbt_mpi is the same run.
        train(job, "--replay", f"{run}:{member}", "--output", where / "option")
        for name in ("fitness", "digest_after", "hparam/lr"):
            assert (column(where / "again", name) == column(where / "option", name)).all()
        subprocess.run(["rm", "-r", where / "again", where / "option"], check=True)


def the_winners_job_runs_as_printed():
    where = folder("winner")
    run, _ = record(where, 4)
    text = call("best", run)
    assert f"pbt_lineage best {run} --job > replay.toml" in text, text
    assert "mpirun -np RANKS pbt_mpi replay.toml" in text
    path = where / "replay.toml"
    path.write_text(call("best", run, "--job"))
    checked = train("--check", path)
    assert 'kind = "replay"' in checked and f'output = "{run}-replay"' in checked, checked
    train(path, "--set", "population.size=2", "--seed", 9)
    lineage, replayed = Lineage(run), f"{run}-replay"
    last = lineage.commit[-1]
    way = lineage.way(int(last["best_generation"]), int(last["best_member"]))
    for name in ("hparam/lr", "hparam/momentum"):
        want = [column(run, name)[g, m] for g, m in way]
        got = column(replayed, name)
        for g in range(len(got)):  # the last value holds on
            assert (got[g] == want[min(g, len(want) - 1)]).all(), (name, g)


def what_cannot_be_replayed_is_said():
    run = make(folder("run"), 4, 6, 1, "pbt")
    assert "one of" in call("best", run, "--job", "--csv", code=64)


def main():
    a_member_that_was_never_replaced_does_it_again()
    the_winners_job_runs_as_printed()
    what_cannot_be_replayed_is_said()
    print("replayed")


main()
