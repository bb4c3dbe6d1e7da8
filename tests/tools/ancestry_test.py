#!/usr/bin/env python3
"""Ancestries, surviving roots, schedules, shares and trees of 200 random lineages equal a
brute-force computation; Newick and DOT are read by programs that others wrote."""
import csv
import io
import math
import random
import re
import shutil
import subprocess

import numpy as np

from common import Lineage, call, call_json, folder, make

LINEAGES = 200

try:
    from Bio import Phylo
except ImportError:
    Phylo = None
    print("SKIP: Biopython is not installed")
dot_program = shutil.which("dot")
if dot_program is None:
    print("SKIP: graphviz is not installed")


def same(a, b):
    return a is None and not math.isfinite(b) or a == b


def check_best(run, lineage):
    last = lineage.commit[-1]
    if last["best_member"] < 0:
        assert "no winner" in call("best", run, code=65)
        return
    got = call_json("best", run, "--json")
    want = lineage.way(int(last["best_generation"]), int(last["best_member"]))
    assert [(row["generation"], row["member"]) for row in got["schedule"]] == want
    for row in got["schedule"]:
        g, m = row["generation"], row["member"]
        assert same(row["fitness"], lineage.fitness[g, m])
        assert row["value"] == {name: lineage.value[name][g, m] for name in lineage.names}
    rows = list(csv.DictReader(io.StringIO(call("best", run, "--csv"))))
    assert [(int(row["generation"]), int(row["member"])) for row in rows] == want
    for row, (g, m) in zip(rows, want):
        assert all(float(row[name]) == lineage.value[name][g, m] for name in lineage.names)


def check_any(run, lineage, rng):
    g, m = rng.randrange(lineage.n), rng.randrange(lineage.members)
    got = call_json("best", run, "--json", "--member", m, "--generation", g)
    assert [(r["generation"], r["member"]) for r in got["schedule"]] == lineage.way(g, m)


def check_roots(run, lineage):
    """Roots among each generation's members, and those the last generation comes from."""
    ways = [lineage.way(lineage.n - 1, m) for m in range(lineage.members)]
    got = call_json("summary", run, "--json")["by_generation"]
    for g in range(lineage.n):
        roots = {lineage.way(g, m)[0] for m in range(lineage.members)}
        ancestors = {place for way in ways for place in way if place[0] == g}
        assert got[g]["roots"] == len(roots), (g, got[g], roots)
        assert got[g]["ancestors"] == len(ancestors), (g, got[g], ancestors)
        finite = lineage.fitness[g][np.isfinite(lineage.fitness[g])]
        if len(finite):
            assert got[g]["best"] == finite.max() and got[g]["worst"] == finite.min()
            assert got[g]["median"] == np.median(finite)
        else:
            assert got[g]["best"] is None
        copies = [p not in (-1, m) for m, p in enumerate(lineage.parent[g])]
        assert got[g]["copies"] == sum(copies)
        for event in ("diverged", "restarted"):
            assert got[g][event] == np.sum(lineage.event[g] == lineage.event_code[event])
    shares = {}
    for way in ways:
        shares[way[0]] = shares.get(way[0], 0) + 1
    lines = re.findall(r"member (\d+) of generation (\d+): (\d+) of", call("tree", run))
    assert {(int(g), int(m)): int(n) for m, g, n in lines} == shares


def check_newick(run, lineage):
    """Distances in the tree are generations since the lines parted."""
    ways = {m: lineage.way(lineage.n - 1, m) for m in range(lineage.members)}
    tree = Phylo.read(io.StringIO(call("tree", run, "--newick")), "newick")
    leaves = {leaf.name: leaf for leaf in tree.get_terminals()}
    assert set(leaves) == {f"m{m}g{lineage.n - 1}" for m in ways}
    depth = tree.depths()
    for m, way in ways.items():
        assert depth[leaves[f"m{m}g{lineage.n - 1}"]] == len(way)
    for a in ways:
        for b in range(a):
            shared = sum(x == y for x, y in zip(ways[a], ways[b])) \
                if ways[a][0] == ways[b][0] else 0
            common = tree.common_ancestor(leaves[f"m{a}g{lineage.n - 1}"],
                                          leaves[f"m{b}g{lineage.n - 1}"])
            assert depth.get(common, 0) == shared, (a, b, shared)
    everyone = Phylo.read(io.StringIO(call("tree", run, "--newick", "--all")), "newick")
    assert {leaf.name for leaf in everyone.get_terminals()} >= set(leaves)


def check_dot(run, lineage):
    """Every copy is an edge."""
    text = call("tree", run, "--dot", "--all")
    begin = {(0, m): (0, m) for m in range(lineage.members)}  # place -> its life's first
    edges = set()
    for g in range(1, lineage.n):
        for m in range(lineage.members):
            parent = int(lineage.parent[g - 1, m])
            begin[g, m] = begin[g - 1, m] if parent == m else (g, m)
            if parent not in (-1, m):
                edges.add((begin[g - 1, parent], (g, m)))
    if dot_program is None:
        return
    plain = subprocess.run([dot_program, "-Tplain"], input=text, text=True, timeout=60,
                           capture_output=True, check=True).stdout
    place = {f"m{m}g{g}": (g, m) for g, m in begin.values()}
    nodes = {line.split()[1] for line in plain.splitlines() if line.startswith("node")}
    found = {tuple(place[name] for name in line.split()[1:3])
             for line in plain.splitlines() if line.startswith("edge")}
    assert nodes == set(place) and found == edges


def main():
    rng = random.Random(7)
    for i in range(LINEAGES):
        kind = "wild" if i % 4 else "pbt"
        run = make(folder("run"), rng.randint(1, 12), rng.randint(1, 25), i, kind)
        lineage = Lineage(run)
        check_best(run, lineage)
        check_roots(run, lineage)
        if i % 2 == 0:
            check_any(run, lineage, rng)
        if Phylo is not None:
            check_newick(run, lineage)
        if i % 10 == 0:
            check_dot(run, lineage)
    print(f"{LINEAGES} lineages")


main()
