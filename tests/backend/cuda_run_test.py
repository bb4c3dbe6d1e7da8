#!/usr/bin/env python3
"""The whole program on the emulated CUDA backend: the same lineage from three ranks and from
one, whose members share the device at the same time, and the scores of the cpu backend to
rounding.

AWARE_MPI: a library that makes MPI say that it reaches a GPU's memory, which is host memory
on the emulator.

Usage: cuda_run_test.py PBT_MPI MPIEXEC AWARE_MPI
       cuda_run_test.py stopped PBT_MPI MPIEXEC
"""
import os
import subprocess
import sys
import tempfile
import time

try:
    import h5py
    import numpy as np
except ImportError:
    print("SKIP: h5py is not installed")
    sys.exit(77)

SETTINGS = ["network.kind=mlp", "network.hidden=[12]", "population.size=3", "task.metric=loss",
            "data.train_size=200", "data.test_size=40", "optimizer.batch_size=8",
            "ready.steps=5", "budget.generations=4"]


def launch(pbt_mpi, mpiexec, ranks, folder, *more, **environment):
    command = [mpiexec, "-n", str(ranks), pbt_mpi, "-o", folder]
    for setting in SETTINGS:
        command += ["--set", setting]
    return subprocess.run(command + list(more), capture_output=True, text=True, timeout=400,
                          check=False, env={**os.environ, **environment})


def lineage(folder):
    with h5py.File(os.path.join(folder, "lineage.h5")) as file:
        return [file[name][:] for name in ("fitness", "parent", "training_loss", "digest_after")]


def run(pbt_mpi, mpiexec, ranks, backend, folder, **environment):
    done = launch(pbt_mpi, mpiexec, ranks, folder, "--set", f"backend={backend}", **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr, lineage(folder)


def refused(pbt_mpi, mpiexec, folder, words, **environment):
    done = launch(pbt_mpi, mpiexec, 2, folder, "--set", "backend=cuda", **environment)
    assert done.returncode == 69, done.stdout + done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("pbt_mpi:")]
    assert len(lines) == 1 and words in lines[0], done.stderr


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b))


def main(pbt_mpi, mpiexec, aware_mpi):
    with tempfile.TemporaryDirectory() as folder:
        log = f"{folder}/log"
        said, three = run(pbt_mpi, mpiexec, 3, "cuda", f"{folder}/three")
        _, one = run(pbt_mpi, mpiexec, 1, "cuda", f"{folder}/one", EMULATOR_LOG=log)
        apart, two = run(pbt_mpi, mpiexec, 2, "cuda", f"{folder}/two", EMULATOR_DEVICES="2")
        _, cpu = run(pbt_mpi, mpiexec, 1, "cpu", f"{folder}/cpu")
        aware = {"PBT_CUDA_AWARE_MPI": "1", "LD_PRELOAD": aware_mpi}
        _, direct = run(pbt_mpi, mpiexec, 2, "cuda", f"{folder}/direct", **aware)
        refused(pbt_mpi, mpiexec, f"{folder}/refused", "does not reach a GPU's memory",
                PBT_CUDA_AWARE_MPI="1")
        refused(pbt_mpi, mpiexec, f"{folder}/none", "needs a GPU", EMULATOR_DEVICES="0")
        with open(log) as file:
            assert file.read() == "3 streams\n", "members of one rank do not overlap"
    for rank in (0, 1, 2):
        assert f"rank {rank} on " in said and "GPU-" in said, said
    assert "3 ranks share one GPU" in said, said
    assert "device 0," in apart and "device 1," in apart and "share one GPU" not in apart, apart
    fitness, parent = three[:2]
    assert fitness.shape == (4, 3) and np.isfinite(fitness).all(), fitness
    assert (parent != np.arange(3)).any(), "nobody copied"
    assert same(three, one) and same(three, two) and same(three, direct)
    assert np.allclose(fitness, cpu[0], rtol=1e-4, atol=0), (fitness, cpu[0])
    print(f"largest difference from the cpu: {np.abs(fitness - cpu[0]).max():.2g}")


def stopped(pbt_mpi, mpiexec):
    """Three members of one rank, told to stop while all have slices under way."""
    more = ("--set", "backend=cuda", "--set", "ready.steps=300", "--set", "budget.generations=2")
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        done = launch(pbt_mpi, mpiexec, 1, f"{folder}/whole", *more)
        assert done.returncode == 0, done.stdout + done.stderr
        whole, limit = lineage(f"{folder}/whole"), time.monotonic() - began
        while done.returncode == 0:
            limit /= 2
            cut = f"{folder}/{limit}"
            done = launch(pbt_mpi, mpiexec, 1, cut, *more, "--max-time", f"{limit:.3f}s")
        assert done.returncode == 75, done.stdout + done.stderr
        print(*(line for line in done.stderr.splitlines() if line.startswith("pbt_mpi:")))
        done = launch(pbt_mpi, mpiexec, 1, cut, *more)
        assert done.returncode == 0, done.stdout + done.stderr
        assert same(whole, lineage(cut))


if __name__ == "__main__":
    if sys.argv[1] == "stopped":
        stopped(*sys.argv[2:])
    else:
        main(*sys.argv[1:])
