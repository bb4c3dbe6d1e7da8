#!/usr/bin/env python3
"""Trains LeNet-5 with PyTorch on the weights and batches that lenet5_curve_dump wrote, and
prints the losses that lenet5_curve_test compares with.

    mkdir dump
    BUILD/tests/golden/lenet5_curve_dump dump
    python3 make_lenet5_curve.py dump > lenet5_curve.txt

Wanted: PyTorch 1.10 or later, NumPy.  To be run again whenever lenet5_curve.h, the drawing
of digits or a random stream changes.
"""
import sys

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

STEPS, BATCH = 50, 64


def read_weights(path):
    """{name: array} in the order of the file."""
    weights = {}
    with open(path, "rb") as file:
        while line := file.readline().split():
            shape = [int(word) for word in line[2:]]
            bytes_ = file.read(4 * int(np.prod(shape)))
            weights[line[0].decode()] = np.frombuffer(bytes_, "<f4").reshape(shape)
    return weights


def read_batches(path):
    step = np.dtype([("image", "<f4", (BATCH, 1, 28, 28)), ("label", "u1", BATCH)])
    return np.fromfile(path, step, STEPS)


def main(folder):
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))
    weights = read_weights(f"{folder}/weights")
    with torch.no_grad():
        for parameter, (name, value) in zip(net.parameters(), weights.items(), strict=True):
            assert parameter.shape == value.shape, name
            parameter.copy_(torch.from_numpy(value.copy()))
    net.double()
    rule = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-3)
    print("# LeNet-5, 50 steps of SGD at batch 64, in double precision by PyTorch "
          f"{torch.__version__}: made by make_lenet5_curve.py.")
    print("# step, loss with label smoothing 0.1, loss without, both before the step")
    for step, batch in enumerate(read_batches(f"{folder}/batches")):
        label = torch.from_numpy(batch["label"].astype(np.int64))
        logit = net(torch.from_numpy(batch["image"].astype(np.float64)))
        loss = F.cross_entropy(logit, label, label_smoothing=0.1)
        plain = F.cross_entropy(logit, label)
        rule.zero_grad()
        loss.backward()
        rule.step()
        print(f"{step} {loss.item():.9f} {plain.item():.9f}")


if __name__ == "__main__":
    main(sys.argv[1])
