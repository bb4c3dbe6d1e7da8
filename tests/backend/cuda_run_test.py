#!/usr/bin/env python3
"""The whole program on the emulated CUDA backend: the same lineage from two ranks and from
one, and the scores of the cpu backend to rounding.

Usage: cuda_run_test.py PBT_MPI MPIEXEC
"""
import os
import subprocess
import sys
import tempfile

try:
    import h5py
    import numpy as np
except ImportError:
    print("SKIP: h5py is not installed")
    sys.exit(77)

SETTINGS = ["network.kind=mlp", "network.hidden=[12]", "population.size=2", "task.metric=loss",
            "data.train_size=200", "data.test_size=40", "optimizer.batch_size=8",
            "ready.steps=3", "budget.generations=3"]


def run(pbt_mpi, mpiexec, ranks, backend, folder):
    command = [mpiexec, "-n", str(ranks), pbt_mpi, "--set", f"backend={backend}", "-o", folder]
    for setting in SETTINGS:
        command += ["--set", setting]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    with h5py.File(os.path.join(folder, "lineage.h5")) as file:
        return done.stdout + done.stderr, file["fitness"][:], file["parent"][:]


def main(pbt_mpi, mpiexec):
    with tempfile.TemporaryDirectory() as folder:
        said, two, parents = run(pbt_mpi, mpiexec, 2, "cuda", f"{folder}/two")
        _, one, parents_of_one = run(pbt_mpi, mpiexec, 1, "cuda", f"{folder}/one")
        _, cpu, _ = run(pbt_mpi, mpiexec, 1, "cpu", f"{folder}/cpu")
    for rank in (0, 1):
        assert f"rank {rank} on " in said and "GPU-" in said, said
    assert "2 ranks share one GPU" in said, said
    assert two.shape == (3, 2) and np.isfinite(two).all(), two
    assert np.array_equal(two, one) and np.array_equal(parents, parents_of_one)
    assert np.allclose(two, cpu, rtol=1e-4, atol=0), (two, cpu)
    print(f"largest difference from the cpu: {np.abs(two - cpu).max():.2g}")


if __name__ == "__main__":
    main(*sys.argv[1:])
