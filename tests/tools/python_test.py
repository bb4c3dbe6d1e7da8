#!/usr/bin/env python3
"""The notebook module: what it says is what the tool says, with and without pandas."""
import pathlib
import sys

import numpy as np

from common import Lineage, call_json, folder, make

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "src/tools/python"))
import pbt_lineage  # noqa: E402


def column(table, name):
    return np.asarray(table[name])


def check(run_folder):
    run = pbt_lineage.open(run_folder)
    lineage = Lineage(run_folder)
    best = call_json("best", run_folder, "--json")
    summary = call_json("summary", run_folder, "--json")
    assert run.ancestry() == [(r["generation"], r["member"]) for r in best["schedule"]]
    schedule = run.schedule()
    for name in run.hparams:
        assert column(schedule, name).tolist() == [r["value"][name] for r in best["schedule"]]
    rows = summary["by_generation"]
    table = run.by_generation()
    for name in ("best", "median", "worst"):
        want = [np.nan if r[name] is None else r[name] for r in rows]
        assert np.array_equal(column(table, name), want, equal_nan=True), name
    assert column(table, "copies").tolist() == [r["copies"] for r in rows]
    assert [len(set(r)) for r in run.roots()] == [r["roots"] for r in rows]
    assert run.copies().sum() == sum(r["copies"] for r in rows)
    everything = run.table()
    assert len(column(everything, "fitness")) == lineage.n * lineage.members
    at = (lineage.n - 1) * lineage.members + 1
    assert column(everything, "steps")[at] == lineage.steps[-1, 1]
    g = lineage.n // 2
    assert run.ancestry(g, 1) == lineage.way(g, 1)
    return run


def figures(run):
    try:
        import matplotlib
    except ImportError:
        return
    matplotlib.use("Agg")
    target = folder("figures")
    names = run.plot(target)
    assert len(names) == 3 + len(run.hparams)
    assert all((target / f"{name}.pdf").stat().st_size > 1000 for name in names)


sound = check(make(folder("pbt"), 5, 12, 4, "pbt"))
check(make(folder("wild"), 7, 10, 5, "wild"))
figures(sound)
sys.modules["pandas"] = None  # as if it were not installed
assert isinstance(check(make(folder("plain"), 4, 6, 6, "pbt")).table(), dict)
try:
    pbt_lineage.open(make(folder("none"), 3, 0, 1)).ancestry()
    raise SystemExit("no error")
except ValueError as error:
    assert "no winner" in str(error)
