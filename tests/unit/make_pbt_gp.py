#!/usr/bin/env python3
"""Writes pbt_gp_known.h beside itself: posteriors of the kernel of src/pbt/gp.h in NumPy."""
import os

import numpy as np

here = os.path.dirname(os.path.abspath(__file__))
rng = np.random.default_rng(3)
N, D, EXTRA, TEST = 24, 3, 4, 6


def kernel(a, b, length, forget):
    square = ((a[:, None, 1:] - b[None, :, 1:]) ** 2).sum(-1)
    return np.exp(-square / length) * (1 - forget) ** (abs(a[:, None, 0] - b[None, :, 0]) / 2)


def numbers(a):
    return "{" + ", ".join(repr(float(v)) for v in np.ravel(a)) + "}"


with open(os.path.join(here, "pbt_gp_known.h"), "w") as out:
    for length, forget, noise in ((1, 0.1, 0.1), (0.3, 0.02, 0.03), (0.1, 0.3, 0.3), (1, 0.02, 1e-3)):
        x = np.column_stack([np.repeat(np.arange(N // 4), 4), rng.random((N, D))]).astype(float)
        y = rng.normal(size=N)
        y = np.clip((y - y.mean()) / y.std(), -2, 2)
        extra = np.column_stack([np.full(EXTRA, N // 4), rng.random((EXTRA, D))])
        test = np.column_stack([np.full(TEST, N // 4), rng.random((TEST, D))])
        gram = kernel(x, x, length, forget) + noise * np.eye(N)
        weight = np.linalg.solve(gram, y)
        mean = kernel(test, x, length, forget) @ weight
        likelihood = -0.5 * y @ weight - 0.5 * np.linalg.slogdet(gram)[1] - N / 2 * np.log(2 * np.pi)
        every = np.vstack([x, extra])
        gram = kernel(every, every, length, forget) + noise * np.eye(N + EXTRA)
        cross = kernel(test, every, length, forget)
        variance = 1 - (cross * np.linalg.solve(gram, cross.T).T).sum(1)
        out.write("    {{%r, %r, %r},\n     %s,\n     %s,\n     %s,\n     %s,\n     %s,\n     %s,\n     %r},\n" % (
            length, forget, noise, numbers(x), numbers(y), numbers(extra), numbers(test),
            numbers(mean), numbers(variance), float(likelihood)))
