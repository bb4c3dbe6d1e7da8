#!/usr/bin/env python3
"""compare's numbers equal SciPy's, its budgets and targets a brute-force computation."""
import random
import warnings

import numpy as np

from common import Lineage, call, call_json, folder, make, skip

try:
    from scipy import stats
except ImportError:
    skip("SciPy is not installed")


def holm(p):
    order = sorted((x, i) for i, x in enumerate(p) if x is not None)
    result, floor = list(p), 0.0
    for k, (x, i) in enumerate(order):
        floor = max(floor, (len(order) - k) * x)
        result[i] = min(1.0, floor)
    return result


def close(got, want):
    if got is None or want is None:
        assert got is None and (want is None or not np.isfinite(want)), (got, want)
    else:
        assert abs(got - want) <= 1e-9 * abs(want) + 1e-14, (got, want)


def spent(lineage, match):
    return lineage.steps.sum(axis=1) if match == "work" else lineage.steps.max(axis=1)


def best_so_far(lineage):
    fitness = np.where(np.isfinite(lineage.fitness), lineage.fitness, -np.inf)
    return np.maximum.accumulate(fitness.max(axis=1))


def check_groups(runs, sizes, target, match):
    groups, rest = [], list(runs)
    for size in sizes:
        groups.append(rest[:size])
        rest = rest[size:]
    words = [word for group in groups for word in [*group, "--"]][:-1]
    got = call_json("compare", *words, "--json", f"--target={target}", "--match", match)
    lineages = [[Lineage(run) for run in group] for group in groups]
    flat = [one for group in lineages for one in group]
    budget = np.inf if match == "none" else min(spent(one, match)[-1] for one in flat)
    assert match == "none" or got["budget"] == budget
    results = []
    for group in lineages:
        results.append([])
        for one in group:
            inside = spent(one, match) <= budget if match != "none" else slice(None)
            results[-1].append(best_so_far(one)[inside][-1])
    for row, one, result in zip(got["runs"], flat, [x for group in results for x in group]):
        close(row["best"], result if np.isfinite(result) else None)
        reached = np.flatnonzero(best_so_far(one) >= target)
        assert row.get("reached_generation") == (int(reached[0]) if len(reached) else None)
        if len(reached):
            close(row["reached_seconds"],
                  one.commit["unix_time"][reached[0]] - (one.commit["unix_time"][0] - 3.0))
    results = [[x for x in group if np.isfinite(x)] for group in results]
    pairs = [(a, b) for a in range(len(groups)) for b in range(a + 1, len(groups))]
    welch, rank = [], []
    for (a, b), row in zip(pairs, got["pairs"]):
        x, y = results[a], results[b]
        p = stats.ttest_ind(x, y, equal_var=False).pvalue if min(len(x), len(y)) > 1 else np.nan
        p = p if len({*x, *y}) > 1 else np.nan
        u = stats.mannwhitneyu(x, y).pvalue if len(x) and len(y) else np.nan
        close(row["welch_p"], p if np.isfinite(p) else None)
        close(row["mann_whitney_p"], u if np.isfinite(u) else None)
        if len(x) and len(y):
            close(row["difference"], np.mean(x) - np.mean(y))
        welch.append(p if np.isfinite(p) else None)
        rank.append(u if np.isfinite(u) else None)
    for row, p, u in zip(got["pairs"], holm(welch), holm(rank)):
        close(row["welch_holm"], p)
        close(row["mann_whitney_holm"], u)
    for row, values in zip(got["groups"], results):
        assert row["runs"] == len(values)
        close(row["mean"], np.mean(values) if values else None)
        close(row["deviation"], np.std(values, ddof=1) if len(values) > 1 else None)


def main():
    warnings.simplefilter("ignore")  # SciPy's, of values that are all the same
    rng = random.Random(3)
    runs = [make(folder(f"run{i}"), rng.randint(3, 6), rng.randint(4, 12), i,
                 "wild" if i % 3 == 0 else "pbt") for i in range(40)]
    for i in range(30):
        rng.shuffle(runs)
        sizes = [rng.randint(1, 11) for _ in range(rng.randint(2, 4))]
        match = ["work", "steps", "none"][i % 3]
        # The same run twice makes ties.
        chosen = [rng.choice(runs) for _ in range(sum(sizes))] if i % 4 == 0 else runs
        smallest = min(Lineage(run).steps.sum(axis=1)[-1] for run in chosen[:sum(sizes)])
        largest = max(Lineage(run).steps.sum(axis=1)[0] for run in chosen[:sum(sizes)])
        if match != "work" or largest <= smallest:
            check_groups(chosen[:sum(sizes)], sizes, rng.choice([0.1, 0.2, 0.3]), match)
    check_groups([runs[0]] * 24, [12, 12], 0.2, "none")  # all the same: nothing varies
    call("compare", code=64)
    call("compare", runs[0], "--", code=64)
    call("compare", "--", runs[0], code=64)
    call("compare", runs[0], "--match", "money", code=64)
    call("compare", runs[0], "--target", "high", code=64)
    call("compare", runs[0], "nowhere", code=66)


main()
