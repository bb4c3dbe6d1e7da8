#!/usr/bin/env python3
"""Whole runs of pbt_mpi, looked at from outside: exit codes, printed lines, HDF5 files.

Usage: whole_run.py PBT_MPI MPIEXEC [TEST...]      (no TEST: all of them)

A run is its lineage: two runs are the same when every data set but times is equal, bit for
bit, and the final checkpoints hold the same tensors.
"""
import json
import os
import re
import shutil
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


def command(ranks, *words, path=None):
    first = [] if path is None else ["env", "PATH=" + path]  # launchers put their folder first
    return [MPIEXEC, "-n", str(ranks), *first, PROGRAM, *words]


def run(ranks, *words, expect=0, env=None):
    env = env or {}
    done = subprocess.run(command(ranks, *words, path=env.get("PATH")), capture_output=True,
                          text=True, timeout=300, env=dict(os.environ, **env))
    killed = (137, 9)  # a launcher's code after a SIGKILL: Open MPI's and MPICH's
    assert done.returncode == expect or (expect == 137 and done.returncode in killed), (
        words, done.returncode, done.stdout, done.stderr)
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
        os.kill(ranks_of(process.pid)[2], signal.SIGKILL)
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


def test_state_of_every_kind_is_kept(folder):
    """ResNet-20, and Adam, dropout and running statistics: copied, killed, resumed, on any
    ranks."""
    def words(out, network):
        sets = {"population.size": 3, "data.train_size": 200, "data.test_size": 20,
                "optimizer.batch_size": 16, "ready.steps": 3, "budget.generations": 3,
                "exploit.fraction": 0.34, **network}
        return [job, "-o", folder + "/" + out] + [
            word for key, value in sets.items() for word in ("--set", "%s=%s" % (key, value))]

    job = write_job(folder, high=0.1)
    resnet = {"network.kind": "resnet20", "optimizer.nesterov": "true",
              "optimizer.clip_norm": 5, "task.metric": "balanced_loss"}
    run(1, *words("resnet1", resnet))
    run(3, *words("resnet3", resnet))
    same_runs(folder + "/resnet1", folder + "/resnet3")

    mine = {"network.kind": "layers", "optimizer.kind": "adamw", "budget.generations": 8,
            "network.layers": '["conv 8 3x3 stride 2 pad 1 as stem", "norm relu", '
                              '"conv 8 3x3 pad 1", "norm add stem relu", "dropout", '
                              '"dense 10"]',
            "search.dropout": '{kind="real", low=0, high=0.6}',
            "search.beta1": '{kind="real", low=0.5, high=0.95}',
            "optimizer.class_weights": "balanced", "augment.shift": 2}
    with open(job) as file:
        text = re.sub(r"\[search.momentum\]\n(\w.*\n)+", "", file.read())
    with open(job, "w") as file:
        file.write(text)
    run(3, *words("whole", mine))
    run(3, *words("killed", mine), expect=137, env={"PBT_FAULT": "evaluate:1:5:kill"})
    resumed = run(1, *words("killed", mine))
    assert "resumed from checkpoint" in resumed.stdout, resumed.stdout
    same_runs(folder + "/whole", folder + "/killed")
    names = {name.split(":")[1] for name in final_state(folder + "/whole")}
    assert {"adam/m/stem/weight", "adam/s/output/bias", "adam/weight_sum", "norm1/mean",
            "norm2/variance", "step"} <= names, names


def test_told_to_stop_in_mid_interval(folder):
    job = write_job(folder, network="lenet5", steps=400, generations=3)
    run(3, job, "-o", folder + "/whole")
    out = folder + "/stopped"
    process = subprocess.Popen(command(3, job, "-o", out), stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    wait_for_generations(out, 1, process)
    time.sleep(0.5)
    os.kill(ranks_of(process.pid)[1], signal.SIGUSR1)  # one rank is enough
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

def test_checkpoints_change_nothing(folder):
    job = write_job(folder, network="lenet5", steps=15, generations=5)
    run(3, job, "-o", folder + "/off", "--set", "checkpoint.every=1000")
    for name, words in (("sync", ["checkpoint.async=false"]), ("async", ["checkpoint.async=true"]),
                        ("some", ["checkpoint.async=true", "checkpoint.every=2"])):
        sets = [word for setting in words for word in ("--set", setting)]
        run(3, job, "-o", folder + "/" + name, *sets)
        same_runs(folder + "/off", folder + "/" + name)
    rows = [json.loads(line) for line in open(folder + "/async/progress.jsonl")]
    assert rows[0]["checkpoint_seconds"] == 0 and rows[2]["checkpoint_seconds"] > 0, rows


def test_death_and_failure_while_a_thread_writes(folder):
    job = write_job(folder, steps=30, generations=6)
    words = [job, "--set", "checkpoint.async=true", "-o"]
    run(4, job, "-o", folder + "/whole")
    for i, (fault, code) in enumerate((("checkpoint_write:1:5:kill", 137),
                                       ("checkpoint_write:0:9:kill", 137),
                                       ("file_write:2:7:kill", 137),
                                       ("manifest_write:0:3:kill", 137),
                                       ("checkpoint_write:1:5", 74),
                                       ("checkpoint_write:0:9", 74),
                                       ("manifest_write:0:2", 74))):
        out = folder + "/%d" % i
        done = run(4, *words, out, expect=code, env={"PBT_FAULT": fault})
        if code == 74:
            assert len(pbt_lines(done.stderr)) == 1, done.stderr
            assert "injected fault" in done.stderr, done.stderr
        resumed = run(2, *words, out)
        assert "resumed from checkpoint" in resumed.stdout, (fault, resumed.stdout)
        same_runs(folder + "/whole", out)


def test_a_full_disk_keeps_the_last_checkpoint(folder):
    job = write_job(folder, network="lenet5", steps=15, generations=40)
    disk = folder + "/disk"
    os.mkdir(disk)
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs",
                                            disk]).returncode != 0:
        print("    (left out: no small disk to be had)")
        return
    try:
        for async_words in ("false", "true"):
            out = disk + "/" + async_words
            words = [job, "--set", "checkpoint.async=" + async_words, "-o", out]
            first = subprocess.Popen(command(2, *words), stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE, text=True)
            wait_for_generations(out, 3, first)
            with open(disk + "/filler", "wb", buffering=0) as filler:
                try:
                    while filler.write(bytes(4096)) > 0:
                        pass
                except OSError:
                    pass
            _, err = first.communicate(timeout=60)
            assert first.returncode == 74, (first.returncode, err)
            assert len(pbt_lines(err)) == 1 and "No space left" in err, err
            os.remove(disk + "/filler")
            resumed = run(3, *words, "--set", "budget.generations=6")
            assert "resumed from checkpoint" in resumed.stdout, resumed.stdout
            if not os.path.exists(folder + "/whole"):
                run(2, job, "-o", folder + "/whole", "--set", "budget.generations=6")
            same_runs(folder + "/whole", out)
            shutil.rmtree(out)
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_a_finished_run_that_is_extended_is_the_longer_run(folder):
    job = write_job(folder)
    run(4, job, "-o", folder + "/longer", "--set", "budget.generations=9")
    for first in (1, 4, 6):
        out = folder + "/%d" % first
        run(4, job, "-o", out, "--set", "budget.generations=%d" % first)
        shown = run(2, job, "-o", out, "--set", "budget.generations=%d" % first)
        assert "is finished" in shown.stdout
        if first == 4:  # twice in a row, and a death on the way
            run(3, job, "-o", out, "--set", "budget.generations=7", expect=137,
                env={"PBT_FAULT": "evaluate:1:6:kill"})
            run(3, job, "-o", out, "--set", "budget.generations=7")
        run(2, job, "-o", out, "--set", "budget.generations=9")
        same_runs(folder + "/longer", out)


def test_the_end_of_a_slurm_allocation_is_seen_coming(folder):
    job = write_job(folder, steps=300, generations=500)
    no_slurm = {name: "" for name in os.environ if name.startswith("SLURM_")}
    squeue = folder + "/squeue"
    with open(squeue, "w") as file:
        file.write("#!/bin/sh\necho \"$@\" > %s/asked\necho 0:06\n" % folder)
    os.chmod(squeue, 0o755)
    path = folder + os.pathsep + os.environ["PATH"]
    for name, env in (("asked", {"SLURM_JOB_ID": "77", "PATH": path}),
                      ("told", {"SLURM_JOB_ID": "78", "PATH": path})):
        began = time.time()
        env = {**no_slurm, **env}
        if name == "told":
            env["SLURM_JOB_END_TIME"] = str(int(began) + 6)
        done = run(2, job, "-o", folder + "/run-" + name, "--margin", "2s", expect=75, env=env)
        line = pbt_lines(done.stderr)
        assert len(line) == 1 and "the end of the SLURM allocation" in line[0], done.stderr
        assert time.time() - began > 2, done.stderr
    assert open(folder + "/asked").read().split() == "-h -j 77 -o %L".split()
    with open(squeue, "w") as file:
        file.write("#!/bin/sh\nexit 1\n")
    small = write_job(folder, steps=3, generations=2)
    unknown = run(2, small, "-o", folder + "/unknown", env={"SLURM_JOB_ID": "79", "PATH": path})
    assert unknown.stderr.count("squeue does not say when") == 1, unknown.stderr
    off = run(2, small, "-o", folder + "/off", "--margin", "off",
              env={"SLURM_JOB_ID": "79", "PATH": path, "SLURM_JOB_END_TIME": "1"})
    assert "SLURM" not in off.stderr


def test_a_job_that_dies_says_what_is_saved(folder):
    version = subprocess.run([MPIEXEC, "--version"], capture_output=True, text=True).stdout
    if "HYDRA" in version:
        print("SKIP: MPICH's launcher kills the other ranks without a TERM before it")
        sys.exit(77)
    job = write_job(folder, steps=60, generations=200)
    out = folder + "/a run"
    process = subprocess.Popen(command(3, job, "-o", out), stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True)
    wait_for_generations(out, 3, process)
    os.kill(ranks_of(process.pid)[1], signal.SIGKILL)
    _, err = process.communicate(timeout=30)
    words = [line for line in err.splitlines() if line.startswith("told to end; saved in ")]
    assert len(words) == 1, err
    saved = re.search(r": (\d+) of 200 generations \(checkpoint \d{6}\); to go on: (.*)$", words[0])
    assert int(saved.group(1)) >= 2, words
    progress = out + "/progress.jsonl"
    before = os.stat(progress).st_mtime_ns
    again = subprocess.Popen(saved.group(2), shell=True, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)  # what a person would paste
    while os.stat(progress).st_mtime_ns == before:  # it goes on
        assert again.poll() is None, again.communicate()
        time.sleep(0.01)
    wait_for_generations(out, int(saved.group(1)) + 1, again)
    os.kill(ranks_of(again.pid)[0], signal.SIGTERM)
    stdout, err = again.communicate(timeout=30)
    assert again.returncode == 75 and len(pbt_lines(err)) == 1, (again.returncode, err)
    begun = re.search(r"resumed from checkpoint \d+, generation (\d+)\n", stdout)
    # The kill may fall between a checkpoint and the words that tell of it.
    assert int(begun.group(1)) - int(saved.group(1)) in (0, 1), (words, stdout)


def cut(folder, size, generations):
    """A run of `size` members that was told to stop growing after some generations."""
    return ["-o", folder, "--set", "population.size=%d" % size, "--set",
            "budget.generations=%d" % generations]


def test_another_population_size_on_resume(folder):
    job = write_job(folder, steps=20, generations=6)
    run(4, job, *cut(folder + "/first", 8, 3))
    refused = run(2, job, *cut(folder + "/first", 5, 6), expect=65)
    assert len(pbt_lines(refused.stderr)) == 1 and "--resize" in refused.stderr, refused.stderr
    first = lineage(folder + "/first")
    for size in (5, 11):
        for ranks in (1, 3, 4):
            out = folder + "/%d-%d" % (size, ranks)
            shutil.copytree(folder + "/first", out)
            words = [job, *cut(out, 8, 6), "--resize", str(size)]
            if ranks == 3:  # a death before and after the first checkpoint, and again
                for fault in ("evaluate:1:1:kill", "evaluate:2:2:kill"):
                    run(ranks, *words, expect=137, env={"PBT_FAULT": fault})
            run(ranks, *words)
            same_runs(folder + "/%d-1" % size, out)
        check_resized(first, lineage(folder + "/%d-1" % size), size)
        tools(folder + "/%d-1" % size)
    # and back to eight
    out = folder + "/5-1"
    run(2, job, *cut(out, 8, 9), "--resize", "8")
    found = lineage(out)
    names = event_names(out)
    assert [names[e] for e in found["event"][5]][5:] == ["cloned"] * 3
    assert np.isfinite(found["fitness"][6:]).all()
    tools(out)


def event_names(folder):
    with h5py.File(folder + "/lineage.h5", "r") as file:
        return {code: name for name, code in h5py.check_enum_dtype(file["event"].dtype).items()}


def check_resized(first, then, size):
    """Against the rule, in NumPy: first ran 3 generations with 8, then 3 with `size`."""
    order = np.argsort(-first["fitness"][2], kind="stable")  # no ties at the cut, or not counted
    width = max(8, size)
    assert then["fitness"].shape == (6, width)
    for name in ("fitness", "parent", "event", "hparam/lr", "digest_before"):
        assert np.array_equal(then[name][:2, :8], first[name][:2]), name
    assert np.array_equal(then["fitness"][2, :8], first["fitness"][2])
    events = np.array(["kept", "copied", "diverged", "restarted", "moved", "cloned", "retired",
                       "absent"])[then["event"]]
    if size < 8:
        worst_in = first["fitness"][2][order[size - 1]]
        stay = [m for m in range(8) if first["fitness"][2, m] > worst_in]
        assert all(events[2, m] == "retired" for m in range(size, 8))
        assert (events[3:, size:] == "absent").all() and np.isnan(then["fitness"][3:, size:]).all()
        moved = [m for m in range(size) if events[2, m] == "moved"]
        parents = set(then["parent"][2, :size])
        assert all(first["parent"][2, m] in parents for m in stay), (stay, parents)
        assert len(moved) == len([m for m in range(size, 8) if
                                  first["fitness"][2, m] >= worst_in and m in order[:size]]) or \
            len(set(first["fitness"][2])) < 8
    else:
        assert (events[2, 8:] == "cloned").all() and (events[:2, 8:] == "absent").all()
        for k, m in enumerate(range(8, size)):
            source = then["parent"][2, m]
            assert first["fitness"][2, source] == np.sort(first["fitness"][2])[::-1][k], (k, source)
            assert then["hparam_next/lr"][2, m] != first["hparam/lr"][2, source]
            assert then["hparam/lr"][3, m] == then["hparam_next/lr"][2, m]
            assert then["digest_after"][2, m] == first["digest_before"][2, source]
        assert np.isfinite(then["fitness"][3:]).all()


def tools(folder):
    """Everything that reads a lineage still does."""
    tool = os.path.join(os.path.dirname(PROGRAM), "tools", "pbt_lineage")
    if not os.path.exists(tool):
        return
    for words in (["summary"], ["summary", "--json"], ["best", "--schedule"], ["tree", "--all"],
                  ["tree", "--newick"], ["export", "--csv"], ["export", "--jsonl"],
                  ["report", "-o", folder + "/page.html"], ["plot", "-o", folder + "/plots"]):
        done = subprocess.run([tool, words[0], folder, *words[1:]], capture_output=True, text=True,
                              timeout=120)
        assert done.returncode == 0, (words, done.stderr)
    for name in os.listdir(folder + "/plots"):
        text = open(folder + "/plots/" + name).read()
        assert not re.search(r"[\"' ,](nan|-nan|inf)[\"' ,]", text), name


def main():
    tests = {name[5:]: call for name, call in globals().items() if name.startswith("test_")}
    for name in sys.argv[3:] or tests:
        with tempfile.TemporaryDirectory(prefix="pbt-") as folder:
            began = time.time()
            tests[name](folder)
            print("ok  %-55s %5.1f s" % (name, time.time() - began), flush=True)


if __name__ == "__main__":
    main()
