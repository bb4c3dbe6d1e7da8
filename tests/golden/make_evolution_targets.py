#!/usr/bin/env python3
"""What differential evolution must reach: writes evolution_targets.h beside itself.

10 dimensions within [-5.12, 5.12].  DE/rand/1/bin is SciPy's
(deferred updating, F = 0.5, Cr = 0.9, 50 members, 100,000 trials) with bounds clipped as
ours; SHADE and L-SHADE are the plain NumPy reference below, written from the papers, with
15,000 trials: after 100,000 all of them are at 0.  Compared is log10 of the final value
(below 1e-20 counts as 1e-20).

The bands follow from the sampling alone, and before anything of ours is run.  A quartile of
our SEEDS runs is one of their order statistics.  Were ours and the REFERENCE_SEEDS runs here
drawn from one distribution, how many of the reference lie below it has a known distribution,
whatever the one they are drawn from is (the precedence test).  A band ends at the order
statistics of the reference beyond which a quartile falls with a probability of ALARM, shared
by the two sides of all 27 quartiles, and at the latest at the extremes of the reference (for
DE's 50 seeds those are passed with 0.024 % instead of 0.019 %): so a faithful program fails
with a probability of about 1 %.

usage: make_evolution_targets.py [PROCESSES]
"""
import functools
import math
import multiprocessing
import os
import sys

import numpy as np
from scipy.optimize import Bounds
from scipy.optimize._differentialevolution import DifferentialEvolutionSolver

D, SEEDS, LOW, HIGH = 10, 25, -5.12, 5.12
REFERENCE_SEEDS, ALARM = {"de": 50, "shade": 100, "lshade": 100}, 0.01
DE_TRIALS, TRIALS = 100_000, 15_000


def sphere(x):
    return (x * x).sum(-1)


def rosenbrock(x):
    a, b = x[..., :-1], x[..., 1:]
    return (100 * (b - a * a) ** 2 + (1 - a) ** 2).sum(-1)


def rastrigin(x):
    return (x * x - 10 * np.cos(2 * np.pi * x) + 10).sum(-1)


class Clipped(DifferentialEvolutionSolver):
    def _ensure_constraint(self, trial):
        np.clip(trial, 0, 1, out=trial)


def de(f, seed):
    solver = Clipped(lambda x: f(x.T), Bounds([LOW] * D, [HIGH] * D), strategy="rand1bin",
                     popsize=5, mutation=0.5, recombination=0.9, init="random", tol=0, atol=0,
                     maxiter=DE_TRIALS // 50, polish=False, seed=seed, updating="deferred",
                     vectorized=True)
    assert solver.num_population_members == 50
    return solver.solve().fun


def shade(f, seed, n0, least, memory=5, best=0.2, archive_rate=2.0):
    rng = np.random.default_rng(seed)
    u = rng.random((n0, D))
    y = f(LOW + u * (HIGH - LOW))
    slots = np.full((memory, 2), 0.5)
    slot, archive, trials = 0, [], 0
    while trials < TRIALS:
        n = len(u)
        r = rng.integers(0, memory, n)
        cr = np.where(slots[r, 0] < 0, 0, np.clip(rng.normal(slots[r, 0], 0.1), 0, 1))
        scale = np.zeros(n)
        while (scale <= 0).any():
            k = scale <= 0
            scale[k] = slots[r[k], 1] + 0.1 * rng.standard_cauchy(k.sum())
        scale = np.minimum(scale, 1)
        top = np.argsort(y)[: max(1, int(best * n + 0.5))]
        pool = np.vstack([u] + archive) if archive else u
        v = np.empty_like(u)
        for i in range(n):
            one = i
            while one == i:
                one = rng.integers(n)
            two = i
            while two in (i, one):
                two = rng.integers(len(pool))
            v[i] = u[i] + scale[i] * (u[rng.choice(top)] - u[i]) + scale[i] * (u[one] - pool[two])
        v = np.where(v < 0, u / 2, np.where(v > 1, (1 + u) / 2, v))
        cross = rng.random((n, D)) < cr[:, None]
        cross[np.arange(n), rng.integers(0, D, n)] = True
        trial = np.where(cross, v, u)
        z = f(LOW + trial * (HIGH - LOW))
        trials += n
        won = z < y
        gain = y[won] - z[won]
        for i in np.flatnonzero(won):
            if len(archive) < int(archive_rate * n + 0.5):
                archive.append(u[i : i + 1].copy())
            else:
                archive[rng.integers(len(archive))] = u[i : i + 1].copy()
        if won.any():
            w = gain / gain.sum()
            c, s = cr[won], scale[won]
            terminal = slots[slot, 0] < 0 or c.max() <= 0
            slots[slot] = (-1 if terminal else (w * c * c).sum() / (w * c).sum(),
                           (w * s * s).sum() / (w * s).sum())
            slot = (slot + 1) % memory
        u = np.where((z <= y)[:, None], trial, u)
        y = np.minimum(y, z)
        if least:
            keep = max(least, int(n0 + (least - n0) * min(1, trials / TRIALS) + 0.5))
            order = np.argsort(y)[: min(n, keep)]
            u, y = u[order], y[order]
            while len(archive) > int(archive_rate * len(u) + 0.5):
                archive.pop(rng.integers(len(archive)))
    return y.min()


def final(name, f, seed):
    return math.log10(max(METHODS[name](f, seed), 1e-20))


def below(j, k, m):
    """P(of m of the reference, j lie below the k-th of ours)."""
    n = SEEDS
    return math.comb(k - 1 + j, j) * math.comb(n - k + m - j, m - j) / math.comb(n + m, m)


def band(reference, k, level):
    """Where the k-th of ours falls outside with a probability of `level` at most on each
    side."""
    reference, m = sorted(reference), len(reference)
    low, total = 0, below(0, k, m)
    while total <= level:
        low += 1
        total += below(low, k, m)
    high, total = m, below(m, k, m)
    while total <= level:
        high -= 1
        total += below(high, k, m)
    # `low` of the reference and fewer below it would be too few; more than `high` too many.
    return reference[max(low, 1) - 1], reference[min(high, m - 1)]


METHODS = {"de": de, "shade": lambda f, s: shade(f, s, 50, 0),
           "lshade": lambda f, s: shade(f, s, 60, 4)}
FUNCTIONS = (sphere, rosenbrock, rastrigin)


def main():
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "evolution_targets.h")
    level = ALARM / (2 * 3 * len(METHODS) * len(FUNCTIONS))
    lines = []
    with multiprocessing.Pool(int((sys.argv[1:] or [1])[0])) as pool:
        for name in METHODS:
            for f in FUNCTIONS:
                found = pool.map(functools.partial(final, name, f),
                                 range(1, REFERENCE_SEEDS[name] + 1), chunksize=1)
                print(name, f.__name__, np.percentile(found, [0, 25, 50, 75, 100]), flush=True)
                rows = ", ".join("{%.4f, %.4f}" % band(found, k, level)
                                 for k in (SEEDS // 4 + 1, SEEDS // 2 + 1, 3 * SEEDS // 4 + 1))
                lines.append('    {"%s", "%s", {%s}},\n' % (name, f.__name__, rows))
    with open(path, "w") as out:
        out.writelines(lines)


if __name__ == "__main__":
    sys.exit(main())
