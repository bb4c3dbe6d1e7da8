#!/usr/bin/env python3
"""Trains the runs of curves.h with PyTorch, on the weights and batches that curves_dump wrote,
and prints the losses that curves_test compares with.

    mkdir dump
    BUILD/tests/golden/curves_dump dump
    python3 make_curves.py dump > curves.txt

Wanted: PyTorch 1.10 or later, NumPy.  To be run again whenever curves.h, the drawing of digits
or a random stream changes.
"""
import glob
import os
import sys

import numpy as np
import torch
import torch.nn.functional as F

SGD, RMSPROP, ADAM = range(3)


def read_facts(path):
    facts, layers = {}, []
    with open(path, encoding="utf-8") as file:
        for line in file:
            key, *rest = line.split()
            if key == "layer":
                layers.append((rest[0], rest[1:]))
            else:
                facts[key] = float(rest[0])
    return facts, layers


def read_weights(path):
    """{name: array} in the order of the file."""
    weights = {}
    with open(path, "rb") as file:
        while line := file.readline().split():
            shape = [int(word) for word in line[2:]]
            bytes_ = file.read(4 * int(np.prod(shape)))
            weights[line[0].decode()] = np.frombuffer(bytes_, "<f4").reshape(shape)
    return weights


def read_batches(path, facts):
    """(images, labels) of each step, then of the scoring."""
    def samples(file, n):
        x = np.frombuffer(file.read(n * 784 * 4), "<f4").reshape(n, 1, 28, 28)
        y = np.frombuffer(file.read(n), np.uint8)
        return (torch.from_numpy(x.astype(np.float64)), torch.from_numpy(y.astype(np.int64)))
    with open(path, "rb") as file:
        batches = [samples(file, int(facts["batch"])) for _ in range(int(facts["steps"]))]
        return batches, samples(file, int(facts["scored"]))


class Net:
    """A layer list in words (src/net/net.h), word by word."""

    def __init__(self, layers, weights):
        self.layers = layers
        self.weight = {name: torch.from_numpy(value.astype(np.float64)).requires_grad_()
                       for name, value in weights.items()}
        self.buffer = {}

    def norm(self, name, x, training):
        mean, variance = self.buffer.setdefault(
            name, (torch.zeros(x.shape[1]).double(), torch.ones(x.shape[1]).double()))
        return F.batch_norm(x, mean, variance, self.weight[name + "/weight"],
                            self.weight[name + "/bias"], training, 0.1, 1e-5)

    @staticmethod
    def added(x, skip):
        """Option A of He et al. 2015 where the shapes differ."""
        times, more = skip.shape[2] // x.shape[2], x.shape[1] - skip.shape[1]
        return x + F.pad(skip[:, :, ::times, ::times],
                         (0, 0, 0, 0, more // 2, more - more // 2))

    def __call__(self, x, training):
        value = {}
        for name, (kind, *words) in self.layers:
            option = {word: words[i + 1] for i, word in enumerate(words[:-1])}
            number = {key: int(option.get(key, default))
                      for key, default in (("stride", 1), ("pad", 0))}
            weight, bias = (self.weight.get(f"{name}/{part}") for part in ("weight", "bias"))
            if kind == "conv":
                x = F.conv2d(x, weight, bias, stride=number["stride"], padding=number["pad"])
            elif kind == "dense":
                x = F.linear(x.flatten(1), weight, bias)
            elif kind == "norm":
                x = self.norm(name, x, training)
                x = self.added(x, value[option["add"]]) if "add" in option else x
            elif kind == "add":
                x = self.added(x, value[words[0]])
            elif kind == "pool":
                side = x.shape[2] if words[1] == "all" else int(words[1])
                pool = F.avg_pool2d if words[0] == "mean" else F.max_pool2d
                x = pool(x, side, int(option.get("stride", side)))
            else:
                assert kind == "dropout", kind  # at rate 0
            x = F.relu(x) if "relu" in words else x
            if kind == "conv" and "pool" in option:
                x = F.max_pool2d(x, int(option["pool"]))
            value[name] = x
        return x


def rule_of(facts, weights):
    decay = facts["weight_decay"]
    if facts["optimizer"] == SGD:
        assert not facts["decoupled"]
        return torch.optim.SGD(weights, facts["lr"], facts["momentum"], weight_decay=decay,
                               nesterov=bool(facts["nesterov"]))
    if facts["optimizer"] == RMSPROP:
        return torch.optim.RMSprop(weights, facts["lr"], alpha=facts["smoothing"],
                                   eps=facts["epsilon"], momentum=facts["momentum"],
                                   weight_decay=decay)
    make = torch.optim.AdamW if facts["decoupled"] else torch.optim.Adam
    return make(weights, facts["lr"], (facts["beta1"], facts["beta2"]), facts["epsilon"],
                weight_decay=decay)


def draw(name, stem):
    facts, layers = read_facts(stem + ".txt")
    net = Net(layers, read_weights(stem + ".weights"))
    weights = list(net.weight.values())
    rule = rule_of(facts, weights)
    batches, scored = read_batches(stem + ".batches", facts)
    for step, (x, y) in enumerate(batches):
        loss = F.cross_entropy(net(x, True), y, label_smoothing=facts["label_smoothing"])
        rule.zero_grad()
        loss.backward()
        if facts["clip_norm"] > 0:
            torch.nn.utils.clip_grad_norm_(weights, facts["clip_norm"])
        rule.step()
        print(f"{name} {step} {loss.item():.9f}")
    with torch.no_grad():
        print(f"{name} {len(batches)} {F.cross_entropy(net(scored[0], False), scored[1]):.9f}")


def main(folder):
    print("# Training curves in double precision by PyTorch "
          f"{torch.__version__}: made by make_curves.py.")
    print("# run, step, mean loss of the batch before the step; last, of the scored images")
    for path in sorted(glob.glob(folder + "/*.txt")):
        draw(os.path.basename(path)[:-4], path[:-4])


if __name__ == "__main__":
    main(sys.argv[1])
