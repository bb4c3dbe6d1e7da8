#!/usr/bin/env python3
"""Inputs to begin with, one folder a target, made by the program's own writers.

usage: seeds.py FOLDER PBT_MPI
"""
import gzip
import os
import pathlib
import struct
import subprocess
import sys

import h5py
import numpy as np

folder, program = pathlib.Path(sys.argv[1]), sys.argv[2]
root = pathlib.Path(__file__).resolve().parents[2]


def put(target, name, data):
    path = folder / target / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def jobs():
    for file in [*root.glob("jobs/*.toml"), *root.glob("tests/fail/bad_jobs/*.toml")]:
        put("job", file.name, file.read_bytes())


def run_files():
    """A small run: its job, lineage, models and manifest."""
    run = folder / "run"
    arguments = {"network.kind": "mlp", "network.hidden": "[4]", "data.train_size": 200,
                 "data.test_size": 40, "data.validation": 0.2, "population.size": 3,
                 "ready.steps": 2, "budget.generations": 4, "checkpoint.every": 2,
                 "optimizer.batch_size": 8}
    command = [program, "--output", run, "--resume", "never"]
    for key, value in arguments.items():
        command += ["--set", f"{key}={value}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL,
                   env={**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1",
                        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"})
    put("job", "effective.toml", (run / "job.toml").read_bytes())
    put("lineage", "lineage.h5", (run / "lineage.h5").read_bytes())
    for file in run.rglob("*.h5"):
        if file.name != "lineage.h5":
            image = file.read_bytes()
            put("best", f"{file.parent.name}-{file.name}", b"\0" + image)
            cut = image.rfind(b"\npbt_mpi xxh3 ")
            put("best", f"{file.parent.name}-{file.name}-sealed",
                b"\1" + (image[:cut] if cut >= 0 else image))
    for file in run.rglob("manifest"):
        text = file.read_bytes()
        put("set", f"{file.parent.name}-manifest", b"\0" + text)
        put("set", f"{file.parent.name}-sealed",
            b"\2" + text[:text.rstrip().rfind(b"\n") + 1])
    put("set", "member", b"\1what member 0 wrote\0")


def idx():
    def file(magic, *dims, data):
        return struct.pack(f">{1 + len(dims)}I", magic, *dims) + data
    labels = [bytes(i % 3 for i in range(n)) for n in (24, 6)]
    files = []
    for y in labels:
        files.append(file(0x803, len(y), 3, 2, data=bytes(range(6)) * len(y)))
        files.append(file(0x801, len(y), data=y))
    for name, pack in (("plain", bytes), ("gzip", gzip.compress)):
        put("idx", name, b"".join(struct.pack("<H", len(pack(f))) + pack(f) for f in files))


def cifar10():
    records = b"".join(bytes([i % 10]) + bytes(3072) for i in range(12))
    put("cifar10", "plain", records)
    put("cifar10", "gzip", gzip.compress(records))
    put("cifar10", "bad-label", b"\x0b" + bytes(3072))


def hdf5():
    (folder / "hdf5").mkdir(parents=True, exist_ok=True)
    x = (np.arange(24 * 6) % 256).astype("u1").reshape(24, 1, 2, 3)
    y = np.arange(24) % 3
    for name, options in (("plain", {}), ("gzip", {"chunks": (5, 1, 2, 2),
                                                   "compression": "gzip", "shuffle": True,
                                                   "fletcher32": True})):
        for version in ("earliest", "latest"):
            with h5py.File(folder / "hdf5" / f"groups-{name}-{version}.h5", "w",
                           libver=(version, "latest")) as f:
                for group, n in (("train", 24), ("test", 6)):
                    f.create_dataset(f"{group}/x", data=x[:n], **options)
                    f[f"{group}/y"] = y[:n]
            with h5py.File(folder / "hdf5" / f"single-{name}-{version}.h5", "w",
                           libver=(version, "latest")) as f:
                f.create_dataset("x", data=(x / 255).astype("f4"), **options)
                f["y"] = y.astype("u1")


def finds():
    """What crashed once."""
    for file in root.glob("tests/fuzz/finds/*/*"):
        put(file.parent.name, file.name, file.read_bytes())


finds()
jobs()
idx()
cifar10()
hdf5()
run_files()
