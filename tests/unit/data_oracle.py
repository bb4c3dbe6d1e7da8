#!/usr/bin/env python3
"""NumPy and h5py as the oracle of the data set readers.

usage: data_oracle.py cifar10 FOLDER  writes a data set
       data_oracle.py hdf5 FOLDER     writes some
       data_oracle.py check FOLDER    compares *.block, what was loaded, with them
"""
import pathlib
import struct
import sys

import h5py
import numpy as np

what, folder = sys.argv[1], pathlib.Path(sys.argv[2])
rng = np.random.default_rng(7)


def images(dtype, *shape):
    x = rng.integers(0, 256, shape).astype("u1")
    return x if dtype == "u1" else (x / 255).astype(dtype)


def labels(n, k):
    return rng.permutation(np.arange(n) % k)


def cifar10():
    names = [f"data_batch_{i}" for i in (1, 2, 3, 4, 5)] + ["test_batch"]
    for name in names:
        rows = np.concatenate([labels(10000, 10).astype("u1")[:, None],
                               images("u1", 10000, 3072)], axis=1)
        rows.tofile(folder / f"{name}.bin")


def hdf5():
    with h5py.File(folder / "groups.h5", "w") as f:
        for group, n in (("train", 500), ("test", 77)):
            f.create_dataset(f"{group}/x", data=images("u1", n, 3, 9, 7), compression="gzip",
                             shuffle=True, chunks=(32, 2, 9, 4))
            f[f"{group}/y"] = labels(n, 4)
    for dtype in ("f2", "f4", "f8"):
        with h5py.File(folder / f"single-{dtype}.h5", "w") as f:
            f.create_dataset("x", data=images(dtype, 400, 2, 6, 5), chunks=True)
            f["y"] = labels(400, 3).astype("u1")


def bytes_of(x):
    return x if x.dtype == np.uint8 else np.rint(x.astype("f8") * 255).astype("u1")


def source(name):
    """Training and test images and labels; for a single set all of it twice."""
    if name == "cifar10":
        def batch(*files):
            rows = np.concatenate([np.fromfile(folder / f"{f}.bin", "u1").reshape(-1, 3073)
                                   for f in files])
            return rows[:, 1:].reshape(-1, 3, 32, 32), rows[:, 0]
        return batch(*(f"data_batch_{i}" for i in (1, 2, 3, 4, 5))), batch("test_batch")
    with h5py.File(folder / f"{name}.h5") as f:
        sets = [(bytes_of(f[g + "x"][:]), f[g + "y"][:].astype("u1"))
                for g in (("train/", "test/") if "train" in f else ("", ""))]
    return sets


def sorted_rows(x, y):
    rows = np.concatenate([y.reshape(-1, 1), x.reshape(len(x), -1)], axis=1)
    return rows[np.lexsort(rows.T[::-1])]


def check(path):
    raw = path.read_bytes()
    n_train, n_validation, n_test, c, h, w, k = struct.unpack_from("<3q4i", raw, 16)
    mean, deviation = np.frombuffer(raw, "f4", 8, 56).reshape(2, 4)
    pixel, label = struct.unpack_from("<2Q", raw, 88)
    n = n_train + n_validation + n_test
    x = np.frombuffer(raw, "u1", n * c * h * w, pixel).reshape(n, c, h, w)
    y = np.frombuffer(raw, "u1", n, label)
    (train_x, train_y), (test_x, test_y) = source(path.stem)
    cut = n_train + n_validation
    if path.stem.startswith("single"):
        assert n == len(train_x) and n_test == round(0.25 * n)
        assert (sorted_rows(x, y) == sorted_rows(train_x, train_y)).all()
        share = np.bincount(y[cut:]) / np.bincount(train_y)
        assert abs(share - 0.25).max() < 0.01, share
    else:
        assert (cut, n_test) == (len(train_x), len(test_x))
        assert (x[cut:] == test_x).all() and (y[cut:] == test_y).all()
        assert (sorted_rows(x[:cut], y[:cut]) == sorted_rows(train_x, train_y)).all()
    assert k == train_y.max() + 1
    share = np.bincount(y[n_train:cut]) / np.bincount(y[:cut])
    assert abs(share - 0.1).max() < 0.01, share
    scaled = x[:n_train].astype("f8") / 255
    assert abs(scaled.mean((0, 2, 3)) - mean[:c]).max() < 1e-6
    assert abs(scaled.std((0, 2, 3)) - deviation[:c]).max() < 1e-6
    print(path.stem, x.shape, "as NumPy reads it")


if what == "cifar10":
    cifar10()
elif what == "hdf5":
    hdf5()
else:
    blocks = sorted(folder.glob("*.block"))
    assert len(blocks) == 5
    for block in blocks:
        check(block)
