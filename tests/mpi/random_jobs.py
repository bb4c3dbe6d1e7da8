#!/usr/bin/env python3
"""Jobs drawn at random from everything a job file can say, each run twice: once straight
through, once on other ranks and threads, with kills and stops on the way.  The two must be
the same run, bit for bit.

Usage: random_jobs.py PBT_MPI MPIEXEC PBT_LINEAGE [JOBS [FIRST]]

A job that `--check` refuses must be refused with one line and code 65; it is drawn again.
Job K is the same job on every machine: a failure prints the command that repeats it alone.
"""
import os
import random
import subprocess
import sys
import tempfile
import time

from whole_run import MPIEXEC, PROGRAM, command, pbt_lines, same_runs

LINEAGE = sys.argv[3]
RANGES = {  # of what can be searched: kinds that fit, low, high
    "lr": ("log real", 1e-4, 0.3), "momentum": ("real", 0.0, 0.95),
    "weight_decay": ("log real", 1e-6, 1e-2), "label_smoothing": ("real", 0.0, 0.3),
    "clip_norm": ("log real", 0.1, 10.0), "beta1": ("real", 0.5, 0.95),
    "beta2": ("real", 0.9, 0.999), "smoothing": ("real", 0.9, 0.999),
    "epsilon": ("log", 1e-8, 1e-3), "dropout": ("real", 0.0, 0.7),
    "shift": ("real int", 0, 3), "flip": ("real", 0.0, 0.5), "cutout": ("int real", 0, 8),
    "rotation": ("real int", 0, 20), "brightness": ("real", 0.0, 0.3),
    "contrast": ("real", 0.0, 0.5)}
TOY_RANGES = {"h": ("real log", 1e-4, 1.1), "h0": ("real", 0.0, 1.0), "h1": ("real", 0.0, 1.0)}
OF_KIND = {"sgd": ("momentum",), "rmsprop": ("smoothing", "epsilon"),
           "adam": ("beta1", "beta2", "epsilon"), "adamw": ("beta1", "beta2", "epsilon")}
LAYERS = (["conv 8 3x3 pad 1 relu pool 2", "conv 5 5x5 stride 2 pad 2", "norm relu",
           "pool mean all", "dropout", "dense classes"],
          ["conv 4 3x3 stride 2 pad 1 as stem", "norm relu", "conv 4 3x3 pad 1",
           "norm add stem relu", "conv 8 1x1 stride 2", "norm add norm2 relu",
           "pool max 2 stride 1", "dense 20 relu", "dense classes"],
          ["dense 33 relu", "dropout", "dense classes"])
SITES = {"train": None, "evaluate": None, "transfer": None, "checkpoint_write": None,
         "manifest_write": 0, "lineage_append": 0, "lineage_commit": 0, "best_write": 0,
         "file_write": 0, "comm_allgather": None, "comm_cast": None}  # and the rank, if only one


def toml(value):
    return "true" if value is True else "false" if value is False else (
        '"%s"' % value if isinstance(value, str) else
        "[%s]" % ", ".join(map(toml, value)) if isinstance(value, list) else
        "{%s}" % ", ".join("%s = %s" % (key, toml(item)) for key, item in value.items())
        if isinstance(value, dict) else repr(value))


def draw_range(rng, kinds, low, high):
    if rng.random() < 0.15:
        return {"kind": "choice", "options": [low + (high - low) * i / 3 for i in range(4)]}
    kind = rng.choice(kinds.split())
    drawn = {"kind": kind, "low": low, "high": high}
    if kind != "int":
        drawn = {"kind": kind, "low": float(low), "high": float(high)}
        if rng.random() < 0.3:
            drawn["start_low"], drawn["start_high"] = (
                low + 0.2 * (high - low), low + 0.6 * (high - low))
    return drawn


def draw_explore(rng, job, toy):
    kind = rng.choice(["perturb", "resample", "none", "normal", "de", "shade", "lshade", "pb2",
                       "perturb", "pb2"] + ([] if toy else ["cosine", "step"]))
    job["explore.kind"] = kind
    if kind in ("de", "shade", "lshade"):
        job["exploit.kind"] = "none"
        job["explore.trial_steps"] = rng.randint(1, 3)
        job["explore.trial_batches"] = rng.randint(0, 2)
        if kind == "lshade":
            job["explore.evaluations"] = rng.randint(10, 60)
    elif kind in ("perturb", "resample", "normal", "pb2"):
        job["explore.who"] = rng.choice(["copied", "copied", "all"])
        job["explore.probability"] = rng.choice([0.0, 0.5, 1.0])
        if kind != "resample":
            job["explore.bounds"] = rng.choice(["clip", "reflect"])
        if kind == "pb2":
            job["explore.window"] = rng.choice([0, 4, 20])


def draw_exploit(rng, job):
    kind = rng.choice(["truncation", "tournament", "ttest", "mfpbt", "ltfb", "none"])
    job["exploit.kind"] = kind
    if kind != "none":
        job["exploit.copy"] = rng.choice(["both", "both", "weights", "hparams", "none"])
        job["guard.kind"] = rng.choice(["none", "none", "welch", "dexpbt"])
        if job["guard.kind"] == "welch":
            job["guard.window"], job["guard.level"] = rng.randint(2, 4), 0.4
    if kind == "truncation":
        job["exploit.fraction"] = rng.choice([0.2, 0.25, 0.5])
        job["exploit.pairing"] = rng.choice(["random", "rank", "mod"])
    if kind == "mfpbt":
        job["exploit.periods"] = rng.choice([[1], [1, 2], [1, 3]])
    if kind == "ttest":
        job["exploit.window"], job["exploit.level"] = rng.randint(2, 4), 0.3
    if kind == "ltfb":
        job["exploit.share"] = rng.choice([0.1, 0.5, 1.0])


def draw_network(rng, job):
    kind = rng.choice(["mlp", "mlp", "lenet5", "layers", "layers"])
    job["network.kind"] = kind
    if kind == "mlp":
        job["network.hidden"] = [rng.randint(1, 70) for _ in range(rng.randint(1, 3))]
    dropout = False
    if kind == "layers":
        job["network.layers"] = rng.choice(LAYERS)
        dropout = "dropout" in job["network.layers"]
    optimizer = rng.choice(list(OF_KIND))
    job["optimizer.kind"] = optimizer
    job["optimizer.batch_size"] = rng.choice([1, 7, 16, 33, 64, 100])
    job["optimizer.class_weights"] = rng.choice(["none", "balanced"])
    job["task.metric"] = rng.choice(["accuracy", "loss", "macro_f1", "balanced_accuracy",
                                     "balanced_loss"])
    job["data.kind"] = "digits"
    job["data.train_size"] = rng.randint(250, 900)
    job["data.test_size"] = rng.randint(20, 200)
    job["data.validation"] = rng.choice([0.1, 0.25, 0.5])
    for name in ("shift", "rotation", "contrast", "flip"):
        if rng.random() < 0.2:
            job["augment." + name] = RANGES[name][2]
    names = ["weight_decay", "label_smoothing", "clip_norm", *OF_KIND[optimizer]]
    names += ["dropout"] if dropout else []
    names += [name for name in ("shift", "flip", "cutout", "rotation", "brightness", "contrast")
              if "augment." + name not in job]
    return ["lr"] + rng.sample(names, rng.randint(0, 4))


def draw(rng):
    job = {"seed": rng.randint(0, 10**6), "backend": "cpu",
           "population.size": rng.randint(2, 12),
           "population.seeding": rng.choice(["random", "latin", "sobol", "grid"]),
           "ready.burn_in": rng.choice([0, 0, 1, 3]),
           "budget.generations": rng.randint(2, 9), "ready.steps": rng.randint(1, 12)}
    toy = rng.random() < 0.25
    ranges = TOY_RANGES if toy else RANGES
    if toy:
        job["task.kind"] = "toy"
        job["toy.surface"] = rng.choice(["fig2", "plain", "deceptive"])
        names = ["h0", "h1"] if job["toy.surface"] == "fig2" else ["h"]
    else:
        names = draw_network(rng, job)
    for name in names:
        job["search." + name] = draw_range(rng, *ranges[name])
    draw_exploit(rng, job)
    draw_explore(rng, job, toy)
    if job["exploit.kind"] == "none":
        for key in [key for key in job if key.startswith(("guard.", "exploit."))]:
            if key != "exploit.kind":
                del job[key]
    return job


def words(job):
    return [word for key, value in job.items() for word in ("--set", key + "=" + toml(value))]


def changing(rng):
    """What may differ between the launches of one run."""
    return {"threads": rng.choice([1, 1, 2, 3]), "checkpoint.every": rng.randint(1, 3),
            "checkpoint.keep": rng.randint(1, 3), "checkpoint.async": rng.random() < 0.5}


def launch(ranks, *more, fault=""):
    return subprocess.run(command(ranks, *more), capture_output=True, text=True, timeout=300,
                          env=dict(os.environ, PBT_FAULT=fault))


def interrupted(rng, job, out, said):
    """Up to three launches that are killed, fail or are stopped, then one to the end."""
    for last in [False] * rng.randint(0, 3) + [True]:
        ranks, fault, more = rng.randint(1, min(5, job["population.size"])), "", []
        allowed = (0,)
        if not last and rng.random() < 0.75:
            site = rng.choice(list(SITES))
            rank = rng.randrange(ranks) if SITES[site] is None else SITES[site]
            fault = "%s:%d:%d%s" % (site, rank, rng.randint(1, 12), rng.choice([":kill", ""]))
            allowed = (0, 69, 70, 74, 75, 137, 9)
        elif not last:
            more = ["--max-time", "%.2fs" % rng.uniform(0.01, 0.5)]
            allowed = (0, 75)
        said.append("%d ranks %s%s" % (ranks, fault, " ".join(more)))
        done = launch(ranks, "-o", out, *words({**job, **changing(rng)}), *more, fault=fault)
        assert done.returncode in allowed, (done.returncode, done.stdout, done.stderr)


def one(number, folder):
    rng, refused = random.Random(number), 0
    while True:
        job = draw(rng)
        done = subprocess.run([PROGRAM, "--check", *words(job)], capture_output=True, text=True)
        if done.returncode == 0:
            break
        assert done.returncode == 65 and len(pbt_lines(done.stderr)) == 1, (job, done)
        refused += 1
        assert refused < 1000
    said = [" ".join(words(job))]
    try:
        straight, other = os.path.join(folder, "straight"), os.path.join(folder, "other")
        ranks = rng.randint(1, min(5, job["population.size"]))
        said.append("%d ranks" % ranks)
        done = launch(ranks, "-o", straight, *words({**job, **changing(rng)}))
        if done.returncode == 75 and "diverged" in done.stderr:
            return refused, True  # a draw that cannot train
        assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
        interrupted(rng, job, other, said)
        same_runs(straight, other)
        for tool in (["check"], ["summary"], ["best", "--schedule"], ["tree"]):
            done = subprocess.run([LINEAGE, *tool, other], capture_output=True, text=True)
            assert done.returncode == 0, (tool, done.stdout, done.stderr)
    except BaseException:
        print("job %d, %s\n  again: random_jobs.py %s %s %s 1 %d" % (
            number, "\n  ".join(said), PROGRAM, MPIEXEC, LINEAGE, number), flush=True)
        raise
    return refused, False


def main():
    jobs = int(sys.argv[4]) if len(sys.argv) > 4 else 100
    first = int(sys.argv[5]) if len(sys.argv) > 5 else 1
    refused = extinct = 0
    began = time.time()
    for number in range(first, first + jobs):
        with tempfile.TemporaryDirectory(prefix="pbt-") as folder:
            more, gone = one(number, folder)
        refused, extinct = refused + more, extinct + gone
        if number % 20 == 0:
            print("  %d jobs, %.0f s" % (number - first + 1, time.time() - began), flush=True)
    print("%d jobs the same both ways, %d of them extinct; %d more refused; %.0f s" % (
        jobs, extinct, refused, time.time() - began))


if __name__ == "__main__":
    main()
