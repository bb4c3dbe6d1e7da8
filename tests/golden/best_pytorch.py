#!/usr/bin/env python3
"""A trained best.h5, loaded into PyTorch, scores on MNIST's test images what pbt_mpi printed.

Usage: best_pytorch.py PBT_MPI MPIEXEC      with PBT_DATA_DIR in the environment
"""
import gzip
import os
import re
import subprocess
import sys
import tempfile

DATA = os.path.join(os.environ.get("PBT_DATA_DIR", ""), "mnist")
if not os.path.isdir(DATA):
    print("SKIP: no MNIST: PBT_DATA_DIR does not name a folder with mnist/")
    sys.exit(77)
try:
    import h5py
    import numpy as np
    import torch
    import torch.nn.functional as F
except ImportError:
    print("SKIP: PyTorch is not installed (apt-get install python3-torch)")
    sys.exit(77)


def idx(name, header):
    with gzip.open(os.path.join(DATA, name + ".gz")) as file:
        return np.frombuffer(file.read(), np.uint8, offset=header).copy()


def lenet5(weights, x):
    w = {name: torch.from_numpy(weights[name][()]) for name in (
        layer + "/" + part for layer in ("conv1", "conv2", "dense1", "dense2", "output")
        for part in ("weight", "bias"))}
    x = F.max_pool2d(F.relu(F.conv2d(x, w["conv1/weight"], w["conv1/bias"], padding=2)), 2)
    x = F.max_pool2d(F.relu(F.conv2d(x, w["conv2/weight"], w["conv2/bias"])), 2).flatten(1)
    x = F.relu(F.linear(x, w["dense1/weight"], w["dense1/bias"]))
    x = F.relu(F.linear(x, w["dense2/weight"], w["dense2/bias"]))
    return F.linear(x, w["output/weight"], w["output/bias"])


def main():
    program, mpiexec = sys.argv[1:3]
    with tempfile.TemporaryDirectory(prefix="pbt-") as folder:
        run = folder + "/run"
        done = subprocess.run(
            [mpiexec, "-n", "2", program, "-o", run, "--set", "data.kind=idx",
             "--set", "data.folder=" + DATA, "--set", "data.train_size=12000",
             "--set", "data.test_size=0",
             "--set", "ready.steps=100", "--set", "budget.generations=3"],
            capture_output=True, text=True, timeout=280, check=False)
        assert done.returncode == 0, done.stderr
        printed = float(re.search(r"test accuracy +([\d.]+)", done.stdout).group(1))
        with h5py.File(run + "/best.h5", "r") as best:
            facts = best.attrs["model"].decode()
            mean, deviation = (float(re.search(key + r" = \[([-\d.e]+)\]", facts).group(1))
                               for key in ("mean", "deviation"))
            images = torch.from_numpy(idx("t10k-images-idx3-ubyte", 16)).view(-1, 1, 28, 28)
            with torch.no_grad():
                answer = lenet5(best, (images.float() / 255 - mean) / deviation).argmax(1)
    labels = torch.from_numpy(idx("t10k-labels-idx1-ubyte", 8))
    torchs = (answer == labels).float().mean().item()
    print("test accuracy: pbt_mpi %.4f, PyTorch %s %.4f" % (printed, torch.__version__, torchs))
    assert abs(printed - torchs) <= 2e-4 + 5e-5, (printed, torchs)
    assert torchs > 0.9


main()
