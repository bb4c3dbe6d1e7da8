#!/usr/bin/env python3
"""CSV, JSON lines and event files hold what h5py finds in the lineage."""
import csv
import io
import json
import math
import subprocess
import sys

import h5py
import numpy as np

from common import Lineage, call, folder, make


def columns(run):
    """Every data set by name, choices as their numbers, enums as words."""
    with h5py.File(run / "lineage.h5", "r", swmr=True) as f:
        n = len(f["committed"])
        table = {}
        f.visititems(lambda name, one: table.__setitem__(name, one)
                     if isinstance(one, h5py.Dataset) and one.ndim == 2 else None)
        words = {name: {v: k for k, v in (h5py.check_enum_dtype(one.dtype) or {}).items()}
                 for name, one in table.items()}
        return n, {name: one[:n] for name, one in table.items()}, words


def same(got, want):
    if isinstance(want, (float, np.floating)) and not math.isfinite(want):
        return got is None or not math.isfinite(got)
    return got == want


def check_rows(run):
    n, table, words = columns(run)
    members = next(iter(table.values())).shape[1]
    rows = list(csv.DictReader(io.StringIO(call("export", run, "--csv"))))
    lines = [json.loads(line, parse_constant=lambda x: 1 / 0)
             for line in call("export", run, "--jsonl").splitlines()]
    assert len(rows) == len(lines) == n * members
    for i, (row, line) in enumerate(zip(rows, lines)):
        g, m = divmod(i, members)
        assert (int(row["generation"]), int(row["member"])) == (g, m)
        assert (line["generation"], line["member"]) == (g, m)
        for name, array in table.items():
            want, text = array[g, m], row[name]
            parts = name.split("/")
            if parts[0] in ("hparam", "hparam_next", "hparam_move"):
                key = {"hparam": "value", "hparam_next": "next", "hparam_move": "move"}
                value = line["hparam"][parts[1]][key[parts[0]]]
            else:
                value = line[parts[0]] if len(parts) == 1 else line[parts[0]][parts[1]]
            if words[name]:
                assert text == value == words[name][want], name
            elif name.startswith("digest"):
                assert int(text, 16) == int(value, 16) == want, name
            else:
                assert same(float(text), want) or math.isnan(want), (name, text, want)
                assert same(value, want), (name, value, want)


def check_to_file(run):
    path = folder("files") / "out.csv"
    call("export", run, "--csv", "-o", path)
    assert path.read_text() == call("export", run, "--csv")
    assert [p.name for p in path.parent.iterdir()] == ["out.csv"]
    call("export", run, "--csv", "-o", path.parent / "no" / "where.csv", code=74)
    call("export", run, code=64)
    call("export", run, "--csv", "--jsonl", code=64)
    full = subprocess.run([sys.argv[1], "export", str(run), "--csv"], timeout=60,
                          stdout=open("/dev/full", "wb"), stderr=subprocess.PIPE)
    assert full.returncode == 74 and full.stderr.count(b"\n") == 1, full


def check_events(run):
    try:
        from tensorboard.backend.event_processing import event_accumulator
    except ImportError:
        print("SKIP: TensorBoard is not installed")
        return
    lineage = Lineage(run)
    target = folder("events")
    call("export", run, "--tensorboard", target)
    winner = lineage.commit[-1]
    ways = {f"member-{m:05d}": [(g, m) for g in range(lineage.n)]
            for m in range(lineage.members)}
    ways["winner"] = lineage.way(int(winner["best_generation"]), int(winner["best_member"]))
    assert {path.name for path in target.iterdir()} == set(ways)
    for name, way in ways.items():
        events = event_accumulator.EventAccumulator(
            str(target / name), size_guidance={event_accumulator.SCALARS: 0,
                                               event_accumulator.TENSORS: 0})
        events.Reload()
        tags = events.Tags()
        kind = events.Scalars if "fitness" in tags["scalars"] else events.Tensors
        wanted = {"fitness": lineage.fitness,
                  **{f"hparam/{h}": lineage.value[h] for h in lineage.names}}
        assert set(wanted) <= set(tags["scalars"] + tags["tensors"]), tags
        for tag, array in wanted.items():
            found = kind(tag)
            assert [e.step for e in found] == [lineage.steps[g, m] for g, m in way]
            assert [e.wall_time for e in found] == [lineage.commit["unix_time"][g]
                                                    for g, m in way]
            got = [e.value if hasattr(e, "value") else e.tensor_proto.float_val[0]
                   for e in found]
            want = [np.float32(array[g, m]) for g, m in way]
            assert np.array_equal(got, want, equal_nan=True), (name, tag)


wild = make(folder("wild"), 5, 9, 11)
check_rows(wild)
check_rows(make(folder("one"), 1, 1, 2))
check_to_file(wild)
check_events(wild)
