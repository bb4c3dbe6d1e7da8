#!/usr/bin/env python3
"""A training step of LeNet-5 and of ResNet-20 beside PyTorch's on one thread, in one run.

    peers.py BUILD [--rounds N] [--batch N] [--net lenet5|resnet20] [--cpu-clock]

The same network, batch and work: gather from uint8, normalise, forward, loss, backward, update
(SGD with momentum and weight decay).  First PyTorch's modules must give the losses of
tests/golden/curves.txt, which our program gives too (golden.curves), from the weights and
batches that BUILD/tests/golden/curves_dump writes.  Then BUILD/tests/bench/step and each way
of PyTorch take turns, round after round.  --cpu-clock counts processor time, for a machine
with other work on it.

Run it with the Python that has the PyTorch in question; on one core: taskset -c 0 peers.py ...
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "golden"))
import make_curves  # reads what curves_dump writes


class LeNet5(nn.Sequential):
    def __init__(self, channels=1):
        super().__init__(
            nn.Conv2d(channels, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
            nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))


class Block(nn.Module):
    def __init__(self, before, after):
        super().__init__()
        self.stride, self.more = (1 if before == after else 2), after - before
        self.conv1 = nn.Conv2d(before, after, 3, self.stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(after)

    def forward(self, x):
        y = F.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        if self.more > 0:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.more // 2, self.more // 2))
        return F.relu(y + x)


class ResNet20(nn.Module):
    def __init__(self, channels=3):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(channels, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        width = [16, 16, 16, 16, 32, 32, 32, 64, 64, 64]
        self.blocks = nn.Sequential(*(Block(a, b) for a, b in zip(width, width[1:])))
        self.output = nn.Linear(64, 10)

    def forward(self, x):
        x = self.blocks(F.relu(self.norm(self.stem(x))))
        return self.output(x.mean((2, 3)))


NETS = {"lenet5": (LeNet5, "lenet5-sgd", (1, 28, 28)), "resnet20": (ResNet20, "resnet20-sgd",
                                                                    (3, 32, 32))}


def check(name, build, batches=3):
    """The module's losses are those of the curve, which are ours."""
    make, curve, _ = NETS[name]
    wanted = [float(line.split()[2]) for line in open(os.path.join(HERE, "../golden/curves.txt"))
              if line.startswith(curve + " ")]
    with tempfile.TemporaryDirectory(prefix="pbt-") as folder:
        subprocess.run([build + "/tests/golden/curves_dump", folder], check=True,
                       stdout=subprocess.DEVNULL)
        stem = os.path.join(folder, curve)
        facts, _ = make_curves.read_facts(stem + ".txt")
        weights = make_curves.read_weights(stem + ".weights")
        data, _ = make_curves.read_batches(stem + ".batches", facts)
    net = make(channels=1)
    with torch.no_grad():
        for parameter, value in zip(net.parameters(), weights.values(), strict=True):
            parameter.copy_(torch.from_numpy(value.copy()))
    rule = make_curves.rule_of(facts, net.parameters())
    worst = 0
    for (x, y), want in zip(data[:batches], wanted):
        loss = F.cross_entropy(net(x.float()), y, label_smoothing=facts["label_smoothing"])
        rule.zero_grad()
        loss.backward()
        rule.step()
        worst = max(worst, abs(loss.item() - want) / want)
    assert worst < 1e-4, (name, worst)
    print(f"{name}: the same losses as ours from the same weights, within {worst:.1e}")


class Peer:
    """One way to let PyTorch train."""

    def __init__(self, name, batch, compiled, channels_last):
        make, _, self.shape = NETS[name]
        torch.manual_seed(1)
        n = 48_000_000 // int(np.prod(self.shape))
        self.pixel = torch.randint(0, 256, (n, *self.shape), dtype=torch.uint8)
        self.label = torch.arange(n) % 10
        self.order, self.at, self.batch = torch.randperm(n), 0, batch
        self.form = torch.channels_last if channels_last else torch.contiguous_format
        net = make().to(memory_format=self.form)
        self.rule = torch.optim.SGD(net.parameters(), 0.01, 0.9, weight_decay=1e-4)
        self.loss = lambda x, y: F.cross_entropy(net(x), y)
        if compiled:
            self.loss = torch.compile(self.loss)

    def step(self):
        index = self.order[self.at:self.at + self.batch]
        self.at = (self.at + self.batch) % (len(self.order) - self.batch)
        x = self.pixel[index].to(torch.float32, memory_format=self.form)
        x.mul_(1 / 64).sub_(2)
        loss = self.loss(x, self.label[index])
        self.rule.zero_grad(set_to_none=True)
        loss.backward()
        self.rule.step()
        return loss

    def time(self, n, clock):
        self.step()
        taken = []
        for _ in range(n):
            begin = clock()
            self.step()
            taken.append(clock() - begin)
        return taken


def ours(options, name):
    words = [options.build + "/tests/bench/step", "--net", name, "--json", "--rounds", "5",
             "--batch", str(options.batch)] + ["--cpu-clock"] * options.cpu_clock
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    return found, found["networks"][0]["step_ms"] / 1e3, found["networks"][0]["floor_ms"] / 1e3


def open_peers(name, batch):
    peers = {}
    for word, compiled, last in (("eager", False, False), ("channels_last", False, True),
                                 ("compile", True, False),
                                 ("compile, channels_last", True, True)):
        if compiled and not hasattr(torch, "compile"):
            print(f"  (PyTorch {torch.__version__} has no torch.compile)")
            break
        try:
            peer = Peer(name, batch, compiled, last)
            for _ in range(3):
                peer.step()
            peers["PyTorch " + word] = peer
        except Exception as error:  # what does not work here is said, and left out
            print(f"  PyTorch {word} does not work: {str(error).splitlines()[0][:100]}")
    return peers


def compare(options, name):
    clock = time.process_time if options.cpu_clock else time.perf_counter
    peers = open_peers(name, options.batch)
    taken = {word: [] for word in ["ours", "floor", *peers]}
    steps = 20 if name == "lenet5" else 3
    for _ in range(options.rounds):
        machine, step, floor = ours(options, name)
        taken["ours"].append(step)
        taken["floor"].append(floor)
        for word, peer in peers.items():
            taken[word] += peer.time(steps, clock)
    mine = statistics.median(taken["ours"])
    print(f"{name}, batch {options.batch}; {machine['machine']}, {machine['backend']}; PyTorch "
          f"{torch.__version__}, 1 thread; {options.rounds} rounds; "
          f"{'processor' if options.cpu_clock else 'wall'} time")
    print(f"  {'':24} {'median ms':>10} {'least ms':>10} {'to ours':>8}")
    for word, values in taken.items():
        middle = statistics.median(values)
        print(f"  {word:24} {middle * 1e3:10.3f} {min(values) * 1e3:10.3f} {middle / mine:8.2f}")


def main():
    parse = argparse.ArgumentParser()
    parse.add_argument("build")
    parse.add_argument("--rounds", type=int, default=9)
    parse.add_argument("--batch", type=int, default=64)
    parse.add_argument("--net", choices=sorted(NETS))
    parse.add_argument("--cpu-clock", action="store_true")
    options = parse.parse_args()
    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    for name in [options.net] if options.net else sorted(NETS):
        check(name, options.build)
        compare(options, name)


if __name__ == "__main__":
    main()
