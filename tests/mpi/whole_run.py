#!/usr/bin/env python3
"""Whole runs of pbt_mpi, looked at from outside: exit codes, printed lines, HDF5 files.

Usage: whole_run.py PBT_MPI MPIEXEC [TEST...]      (no TEST: all of them)

A run is its lineage: two runs are the same when every data set but times is equal, bit for
bit, and the final checkpoints hold the same tensors.
"""
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

try:
    import h5py
    import numpy as np
except ImportError:
    print("SKIP: python3-h5py and python3-numpy are needed to read the files")
    sys.exit(77)

PROGRAM, MPIEXEC = sys.argv[1], sys.argv[2]
JOB = """
name = "small"
seed = 5
[population]
size = 8
[network]
kind = "{network}"
[data]
kind = "digits"
train_size = 1500
test_size = 300
validation = 0.2
[search.lr]
kind = "log"
low = 1e-3
high = {high}
[search.momentum]
kind = "real"
low = 0.0
high = 0.95
[search.label_smoothing]
kind = "choice"
options = [0.0, 0.05, 0.1]
[exploit]
fraction = 0.25
[ready]
steps = {steps}
[budget]
generations = {generations}
"""
TIMES = {"committed", "starts"}  # compound tables: compared field by field below


def write_job(folder, network="mlp", high=0.3, steps=30, generations=6):
    path = os.path.join(folder, "small.toml")
    with open(path, "w") as job:
        job.write(JOB.format(network=network, high=high, steps=steps, generations=generations))
    return path


def command(ranks, *words):
    return [MPIEXEC, "-n", str(ranks), PROGRAM, *words]


def run(ranks, *words, expect=0, env=None):
    done = subprocess.run(command(ranks, *words), capture_output=True, text=True, timeout=300,
                          env=dict(os.environ, **(env or {})))
    assert done.returncode == expect, (words, done.returncode, done.stdout, done.stderr)
    return done


def pbt_lines(text):
    return [line for line in text.splitlines()
            if line.startswith("pbt_mpi:") and "warning" not in line]


def lineage(folder):
    """Every array of a lineage but the times."""
    found = {}
    with h5py.File(os.path.join(folder, "lineage.h5"), "r") as file:
        def keep(name, item):
            if isinstance(item, h5py.Dataset) and not name.startswith("seconds/"):
                if name not in TIMES:
                    found[name] = item[()]
        file.visititems(keep)
        committed = file["committed"][()]
        for field in committed.dtype.names:
            if "time" not in field:
                found["committed/" + field] = committed[field]
    return found


def final_state(folder):
    """The tensors of the newest checkpoint's member files."""
    sets = os.path.join(folder, "checkpoints")
    newest = os.path.join(sets, sorted(os.listdir(sets))[-1])
    assert os.path.exists(os.path.join(newest, "manifest")), os.listdir(newest)
    found = {}
    for name in sorted(os.listdir(newest)):
        if name.startswith("member-"):
            with h5py.File(os.path.join(newest, name), "r") as file:
                def keep(path, item, name=name):
                    if isinstance(item, h5py.Dataset):
                        found[name + ":" + path] = item[()]
                file.visititems(keep)
    assert found
    return found


def same(one, other):
    assert one.keys() == other.keys(), one.keys() ^ other.keys()
    for name, value in one.items():
        a, b = np.asarray(value), np.asarray(other[name])
        assert a.shape == b.shape and a.tobytes() == b.tobytes(), (name, a, b)


def same_runs(one, other):
    same(lineage(one), lineage(other))
    same(final_state(one), final_state(other))


def wait_for_generations(folder, n, process):
    path = os.path.join(folder, "progress.jsonl")
    end = time.time() + 120
    while time.time() < end and process.poll() is None:
        if os.path.exists(path) and len(open(path).read().splitlines()) >= n:
            return
        time.sleep(0.02)
    raise AssertionError("the run ended before generation %d" % n)


def children(pid):
    out = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout
    return [int(child) for child in out.split()]


def test_the_same_seed_gives_the_same_lineage(folder):
    job = write_job(folder)
    run(4, job, "-o", folder + "/a")
    run(4, job, "-o", folder + "/b")
    same_runs(folder + "/a", folder + "/b")
    run(4, job, "-o", folder + "/c", "--seed", "6")
    different = lineage(folder + "/c")["fitness"]
    assert not np.array_equal(different, lineage(folder + "/a")["fitness"])


def test_ranks_do_not_matter(folder):
    job = write_job(folder, network="lenet5", steps=10, generations=4)
    for ranks in (8, 2, 1, 3, 5):
        run(ranks, job, "-o", folder + "/%d" % ranks)
        same_runs(folder + "/8", folder + "/%d" % ranks)


def test_copies_arrive_whole(folder):
    run(5, write_job(folder), "-o", folder + "/a")
    found = lineage(folder + "/a")
    parent, event = found["parent"], found["event"]
    before, after = found["digest_before"], found["digest_after"]
    copies = 0
    for g in range(parent.shape[0]):
        for m in range(parent.shape[1]):
            if parent[g, m] >= 0:
                assert after[g, m] == before[g, parent[g, m]], (g, m)
            copies += parent[g, m] not in (m, -1)
            assert (event[g, m] == 0) == (parent[g, m] == m)
    assert copies == 2 * 5, copies  # a quarter of 8, but not after the last generation
    assert (parent[-1] == np.arange(8)).all()


def test_killed_and_resumed_on_any_ranks(folder):
    job = write_job(folder, steps=60, generations=12)
    run(4, job, "-o", folder + "/whole")
    for ranks in (4, 2, 8):
        out = folder + "/killed%d" % ranks
        process = subprocess.Popen(command(4, job, "-o", out), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        wait_for_generations(out, 4, process)
        os.kill(children(process.pid)[2], signal.SIGKILL)
        assert process.wait(30) != 0
        resumed = run(ranks, job, "-o", out)
        assert "resumed from checkpoint" in resumed.stdout, resumed.stdout
        same_runs(folder + "/whole", out)


def damage(path):
    with open(path, "r+b") as file:
        file.seek(os.path.getsize(path) // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 4]))


def test_a_damaged_checkpoint_is_passed_over(folder):
    job = write_job(folder)
    run(2, job, "-o", folder + "/whole")
    out = folder + "/a"
    run(2, job, "-o", out, "--set", "budget.generations=4")
    sets = sorted(os.listdir(out + "/checkpoints"))
    damage("%s/checkpoints/%s/member-00003.h5" % (out, sets[-1]))
    done = run(2, job, "-o", out)
    assert "warning" in done.stderr and "member-00003.h5" in done.stderr, done.stderr
    same_runs(folder + "/whole", out)  # the set before it was in mid-run: nothing is missing
    for name in os.listdir(out + "/checkpoints"):
        damage("%s/checkpoints/%s/member-00003.h5" % (out, name))
    before = lineage(out)
    refused = run(2, job, "-o", out, "--set", "budget.generations=9", expect=65)
    assert len(pbt_lines(refused.stderr)) == 1 and "--resume never" in refused.stderr
    same(before, lineage(out))  # what cannot be gone on with is not thrown away


def test_told_to_stop_in_mid_interval(folder):
    job = write_job(folder, network="lenet5", steps=400, generations=3)
    run(3, job, "-o", folder + "/whole")
    out = folder + "/stopped"
    process = subprocess.Popen(command(3, job, "-o", out), stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    wait_for_generations(out, 1, process)
    time.sleep(0.5)
    os.kill(children(process.pid)[1], signal.SIGUSR1)  # one rank is enough
    _, err = process.communicate(timeout=30)
    assert process.returncode == 75, (process.returncode, err)
    assert len(pbt_lines(err)) == 1 and "signal USR1" in pbt_lines(err)[0], err
    run(2, job, "-o", out)
    same_runs(folder + "/whole", out)


def test_a_stop_file_and_a_time_limit_stop_too(folder):
    job = write_job(folder, steps=2000, generations=50)
    done = run(2, job, "-o", folder + "/limit", "--max-time", "3s", expect=75)
    assert "time limit" in pbt_lines(done.stderr)[0]
    process = subprocess.Popen(command(2, job, "-o", folder + "/file"),
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for_generations(folder + "/file", 1, process)
    open(folder + "/file/STOP", "w").close()
    assert process.wait(30) == 75


def test_a_finished_run_is_told_again_and_another_job_refused(folder):
    job = write_job(folder)
    first = run(2, job, "-o", folder + "/a")
    again = run(2, job, "-o", folder + "/a")
    winner = re.search(r"Winner.*?(?=\nFiles)", first.stdout, re.S).group(0)
    assert winner in again.stdout, again.stdout
    refused = run(2, job, "-o", folder + "/a", "--set", "optimizer.batch_size=32", expect=65)
    assert len(pbt_lines(refused.stderr)) == 1 and "batch_size" in refused.stderr
    run(2, job, "-o", folder + "/a", "--set", "optimizer.batch_size=32", "--resume", "never")
    assert os.path.exists(folder + "/a.1/lineage.h5")
    longer = run(2, job, "-o", folder + "/a.1", "--set", "budget.generations=8")
    assert "resumed from" in longer.stdout and lineage(folder + "/a.1")["fitness"].shape[0] == 8


def test_a_population_as_large_as_the_ranks_keeps_its_size(folder):
    job = write_job(folder)
    text = open(job).read().replace("[population]\nsize = 8\n", "")
    with open(job, "w") as file:
        file.write(text)
    run(4, job, "-o", folder + "/whole")
    run(4, job, "-o", folder + "/a", "--set", "budget.generations=3")
    run(2, job, "-o", folder + "/a")
    assert lineage(folder + "/a")["fitness"].shape == (6, 4)
    refused = run(5, job, "-o", folder + "/a", "--set", "budget.generations=9", expect=64)
    assert len(pbt_lines(refused.stderr)) == 1 and "population of 4" in refused.stderr


def test_the_winner_can_be_scored_again(folder):
    done = run(3, write_job(folder, network="lenet5"), "-o", folder + "/a")
    test = re.search(r"test accuracy +([\d.]+)", done.stdout).group(1)
    validation = re.search(r"validation accuracy +([\d.]+)", done.stdout).group(1)
    again = run(1, "--evaluate", folder + "/a/best.h5")
    assert re.search(r"test accuracy +([\d.]+)", again.stdout).group(1) == test
    assert re.search(r"validation accuracy +([\d.]+)", again.stdout).group(1) == validation
    best = lineage(folder + "/a")["fitness"].max()
    with h5py.File(folder + "/a/best.h5", "r") as file:
        assert file.attrs["fitness"] == best


def test_divergence_is_survived_and_extinction_is_said(folder):
    # Momentum that is nearly 1 and steps far too large: some members always break.
    job = write_job(folder, high=1e3, generations=6)
    run(4, job, "-o", folder + "/some")
    found = lineage(folder + "/some")
    broken = ~np.isfinite(found["fitness"])
    assert broken.any() and not broken.all()
    events = found["event"][:-1]
    assert ((events == 2) | (events == 3))[broken[:-1]].all()
    done = run(3, job, "-o", folder + "/all", "--set", "search.lr.low=5e2", "--set",
               "search.lr.high=1e3", expect=75)
    line = pbt_lines(done.stderr)
    assert len(line) == 1 and "every member diverged" in line[0] and "500 to 1000" in line[0], line
    assert (lineage(folder + "/all")["event"] == 3).all()


def test_the_live_log_is_json_and_complete(folder):
    run(2, write_job(folder), "-o", folder + "/a")
    rows = [json.loads(line) for line in open(folder + "/a/progress.jsonl")]
    assert [row["generation"] for row in rows] == list(range(6))
    best = lineage(folder + "/a")["fitness"].max(axis=1)
    assert [row["best"] for row in rows] == list(best)


def test_a_warm_start_begins_where_the_model_ended(folder):
    job = write_job(folder)
    run(2, job, "-o", folder + "/a")
    run(2, job, "-o", folder + "/b", "--set", "warm_start=%s/a/best.h5" % folder)
    assert lineage(folder + "/b")["fitness"][0].max() > lineage(folder + "/a")["fitness"][0].max()
    other = run(2, job, "-o", folder + "/c", "--set", "network.kind=lenet5", "--set",
                "warm_start=%s/a/best.h5" % folder, expect=65)
    assert len(pbt_lines(other.stderr)) == 1


def main():
    tests = {name[5:]: call for name, call in globals().items() if name.startswith("test_")}
    for name in sys.argv[3:] or tests:
        with tempfile.TemporaryDirectory(prefix="pbt-") as folder:
            began = time.time()
            tests[name](folder)
            print("ok  %-55s %5.1f s" % (name, time.time() - began), flush=True)


if __name__ == "__main__":
    main()
