#!/usr/bin/env python3
"""Jobs in a real SLURM, on four emulated nodes (lab.sh).

usage: slurm_test.py PBT_MPI PBT_LINEAGE MPIEXEC SOURCE_ROOT SCENARIO...

short            one job with srun: start, run, done
LAUNCHER-requeue-RANKS  twice told to stop by SLURM's signal, saved, requeued by its own
                 script, resumed, finished
LAUNCHER-limit   the time limit comes: warned, saved, requeued, resumed
LAUNCHER-cancel  scancel; submitted again by hand
LAUNCHER-preempt a job of more weight takes its nodes, and gives them back

LAUNCHER is srun or mpirun, RANKS 16 or 32.  Each must come to the end of a run that nobody
disturbed, bit for bit.
"""
import functools
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time

program, source = map(os.path.abspath, (sys.argv[1], sys.argv[4]))
mpiexec = sys.argv[3]
sys.path.insert(0, source + "/tests/crash")
import common  # noqa: E402  (beside the crash tests)

NODES, MEMBERS, GENERATIONS = 4, 32, 16
SECONDS = 1800  # for anything to happen; a requeued job alone waits for two minutes
here = pathlib.Path(__file__).resolve().parent


# ---------------------------------------------------------------- the cluster


def free_port():
    """The first of ports in a row that nobody listens on."""
    for port in range(16817, 40000, 97):
        try:
            for i in range(NODES + 1):
                with socket.socket() as trial:
                    trial.bind(("127.0.0.1", port + i))
            return port
        except OSError:
            continue
    raise AssertionError("no free ports")


class Lab:
    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="pbt-slurm-")
        done = subprocess.run([here / "lab.sh", "start", self.folder + "/lab"], text=True,
                              capture_output=True,
                              env={**os.environ, "PORT": str(free_port())})
        print(done.stdout, end="", flush=True)
        if done.returncode != 0:
            print(done.stderr)
            os.rmdir(self.folder)
            sys.exit(done.returncode)
        os.environ["SLURM_CONF"] = self.folder + "/lab/slurm.conf"
        os.environ["PATH"] = os.path.dirname(program) + ":" + os.environ["PATH"]
        return self

    def __exit__(self, *_):
        subprocess.run([here / "lab.sh", "stop", self.folder + "/lab"], check=False)
        os.rmdir(self.folder)


def slurm(*words):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


# ---------------------------------------------------------------- a job


class Job:
    """A submitted job: its number, its folder, what SLURM says of it."""

    def __init__(self, folder, launcher, ranks, *more):
        self.folder = pathlib.Path(folder)
        script = {"srun": "pbt.sbatch", "mpirun": "pbt-mpirun.sbatch"}[launcher]
        self.number = slurm(
            "sbatch", "--parsable", "-D", folder, "-N", NODES,
            f"--ntasks-per-node={ranks // NODES}", "-o", f"{folder}/job-%j.log", *more,
            f"{source}/jobs/{script}", "job.toml", "--output", "run").strip()

    def facts(self):
        return dict(re.findall(r"(\w+)=(\S*)", slurm("scontrol", "show", "job", self.number)))

    def log(self):
        return "".join(p.read_text() for p in sorted(self.folder.glob("job-*.log")))

    def wait(self, what, condition):
        """Until the condition holds; it may look at SLURM's facts."""
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            facts = self.facts()
            if condition(facts):
                return facts
            if facts["JobState"] in ("FAILED", "COMPLETED", "TIMEOUT", "NODE_FAIL"):
                break
            time.sleep(0.3)
        raise AssertionError(f"waiting for {what}: {facts}\n{self.log()[-3000:]}")

    def generation(self, n):
        self.wait(f"generation {n}",
                  lambda _: common.generations_logged(self.folder / "run") >= n)

    def requeued(self, times, *changes):
        """Waits until it is back in the queue, and spares us the two minutes of delay."""
        facts = self.wait(f"requeue {times}", lambda f: int(f["Restarts"]) >= times
                          and f["JobState"] in ("PENDING", "RUNNING"))
        if facts["JobState"] == "PENDING":
            time.sleep(15)  # the step before has the same number, and PMIx's files of it
            slurm("scontrol", "update", f"JobId={self.number}", "StartTime=now", *changes)

    def done(self):
        facts = self.wait("the end", lambda f: f["JobState"] == "COMPLETED")
        assert facts["ExitCode"] == "0:0", facts
        return facts


def signal_to(job, launcher):
    """What --signal in the script does in time: to the steps, or to the batch shell."""
    slurm("scancel", "--signal=USR1", *(["--batch"] if launcher == "mpirun" else []),
          job.number)


@functools.cache
def plain_result(steps, generations=GENERATIONS):
    """What a run that nobody disturbs comes to; the same for all scenarios."""
    with tempfile.TemporaryDirectory(prefix="pbt-plain-") as folder:
        return plain_run(folder, steps, generations)


def plain_run(folder, steps, generations):
    common.write_job(folder, members=MEMBERS, steps=steps, generations=generations)
    ended = common.launch([mpiexec, "-n", "2", program, "job.toml", "--output", "run"], folder,
                          seconds=SECONDS)
    assert ended.code == 0, ended.tail()
    return common.result(folder + "/run")


def fresh(folder, name, steps, generations=GENERATIONS):
    path = f"{folder}/{name}"
    os.makedirs(path)
    common.write_job(path, members=MEMBERS, steps=steps, generations=generations)
    return path


def same(path, expected, launches=None):
    found = common.differences(expected, common.result(path + "/run"))
    assert not found, found
    with common.h5py.File(path + "/run/lineage.h5", "r") as file:
        starts = file["starts"][()]
    assert launches is None or len(starts) == launches, starts
    left = common.leftovers(path + "/run")
    assert not left, left


# ---------------------------------------------------------------- scenarios


def short(folder):
    expected = plain_result(5, 4)
    path = fresh(folder, "short", 5, 4)
    Job(path, "srun", 8).done()
    same(path, expected, 1)


def requeue(folder, launcher, ranks):
    steps = 100
    expected = plain_result(steps)
    path = fresh(folder, "run", steps)
    job = Job(path, launcher, int(ranks))
    for restart, generation in ((1, 4), (2, 9)):
        job.generation(generation)
        signal_to(job, launcher)
        job.requeued(restart)
    assert job.done()["Restarts"] == "2"
    same(path, expected, 3)


def limit(folder, launcher):
    steps = 1500  # two minutes on two idle cores
    expected = plain_result(steps)
    path = fresh(folder, "run", steps)
    job = Job(path, launcher, 16, "-t", "1",
              "--signal=B:USR1@30" if launcher == "mpirun" else "--signal=USR1@30")
    job.requeued(1, "TimeLimit=30")
    assert int(job.done()["Restarts"]) == 1
    same(path, expected)  # a launch told to stop in its first generation leaves no row


def cancel(folder, launcher):
    steps = 100
    expected = plain_result(steps)
    path = fresh(folder, "run", steps)
    job = Job(path, launcher, 16)
    job.generation(5)
    logged = common.generations_logged(path + "/run")
    slurm("scancel", job.number)
    job.wait("the cancel", lambda f: f["JobState"] == "CANCELLED")
    newest = common.sets(path + "/run")[-1]
    assert f"\ngeneration {logged - 1}\n" not in common.manifest(path + "/run", newest)
    Job(path, launcher, 16).done()
    same(path, expected, 2)


def preempt(folder, launcher):
    steps = 100
    expected = plain_result(steps)
    path = fresh(folder, "run", steps)
    job = Job(path, launcher, 16, "-p", "low")
    job.generation(4)
    slurm("sbatch", "--parsable", "-p", "high", "-N", NODES, "--exclusive", "-o", "/dev/null",
          "--wrap", "sleep 5")
    job.requeued(1)
    assert int(job.done()["Restarts"]) == 1
    same(path, expected, 2)


def main():
    scenarios = {"requeue": requeue, "limit": limit, "cancel": cancel, "preempt": preempt}
    with Lab() as lab:
        for name in sys.argv[5:]:
            with tempfile.TemporaryDirectory(prefix="run-", dir=lab.folder) as folder:
                began = time.monotonic()
                if name == "short":
                    short(folder)
                else:
                    launcher, what, *more = name.split("-")
                    scenarios[what](folder, launcher, *more)
                print(f"ok  {name:20} {time.monotonic() - began:6.1f} s", flush=True)


main()
