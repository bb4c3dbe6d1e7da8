#!/usr/bin/env python3
"""Training steps a second of PyTorch on the device: the same networks, batches, optimiser
and precision as tests/bench/gpu.c, with the data set on the device.

Usage: gpu_pytorch.py NET BATCH PRECISION [SECONDS]     one line of JSON for each way

Ways: eager, graph (one CUDA graph a step), compile (torch.compile, reduce-overhead).
"""
import json
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

IMAGES, CLASSES = 10000, 10


class LeNet5(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.fc2(F.relu(self.fc1(x.flatten(1)))))
        return self.fc3(x)


class Block(nn.Module):
    def __init__(self, channels_in, channels, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.stride, self.pad = stride, (channels - channels_in) // 2

    def forward(self, x):
        y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        if self.stride > 1:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.pad, self.pad))
        return F.relu(x + y)


class ResNet20(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        blocks, channels_in = [], 16
        for channels in (16, 32, 64):
            for i in range(3):
                blocks.append(Block(channels_in, channels, 2 if i == 0 and channels > 16 else 1))
                channels_in = channels
        self.blocks, self.fc = nn.Sequential(*blocks), nn.Linear(64, CLASSES)

    def forward(self, x):
        x = self.blocks(F.relu(self.norm(self.conv(x))))
        return self.fc(x.mean((2, 3)))


def main():
    net, batch, precision = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    seconds = float(sys.argv[4]) if len(sys.argv) > 4 else 3.0
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = precision != "float32"
    torch.backends.cudnn.allow_tf32 = precision != "float32"
    channels, side = (1, 28) if net == "lenet5" else (3, 32)
    data = torch.randint(0, 255, (IMAGES, channels, side, side), dtype=torch.uint8, device="cuda")
    label = torch.randint(0, CLASSES, (IMAGES,), device="cuda")

    def fresh():
        torch.manual_seed(1)
        model = LeNet5() if net == "lenet5" else ResNet20()
        model = model.cuda().to(memory_format=torch.channels_last)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9,
                                    weight_decay=5e-4, fused=True)
        return model, optimizer

    def make_step(model, optimizer):
        def step():
            index = torch.randint(0, IMAGES, (batch,), device="cuda")
            x = (data[index].float() / 64 - 0.6).to(memory_format=torch.channels_last)
            with torch.autocast("cuda", torch.bfloat16, enabled=precision == "bf16"):
                loss = F.cross_entropy(model(x), label[index])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            return loss
        return step

    def measure(way, step):
        for _ in range(20):
            step()
        torch.cuda.synchronize()
        begin, done = time.perf_counter(), 0
        while time.perf_counter() - begin < seconds:
            for _ in range(100):
                step()
            done += 100
            torch.cuda.synchronize()
        rate = done / (time.perf_counter() - begin)
        print(json.dumps({"what": "pytorch", "way": way, "net": net, "batch": batch,
                          "precision": precision, "version": torch.__version__,
                          "steps_per_second": round(rate, 1)}), flush=True)

    measure("eager", make_step(*fresh()))

    step = make_step(*fresh())
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(5):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    measure("graph", graph.replay)

    model, optimizer = fresh()
    try:
        measure("compile", make_step(torch.compile(model, mode="reduce-overhead"), optimizer))
    except Exception as error:  # no compiler for its kernels: a way less, not a failure
        print(f"torch.compile: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
