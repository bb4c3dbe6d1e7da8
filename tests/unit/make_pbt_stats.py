#!/usr/bin/env python3
"""Writes pbt_stats_known.h and pbt_student_known.h beside itself, by SciPy."""
import os

import numpy as np
from scipy import stats

here = os.path.dirname(os.path.abspath(__file__))
rng = np.random.default_rng(1)


def row(values):
    return "{" + ", ".join(repr(float(v)) for v in values) + "}"


with open(os.path.join(here, "pbt_stats_known.h"), "w") as out:
    for i in range(40):
        n_a, n_b = int(rng.integers(2, 13)), int(rng.integers(2, 13))
        a = rng.normal(0.9, 10.0 ** rng.uniform(-4, 0), n_a)
        b = rng.normal(0.9, 10.0 ** rng.uniform(-4, 0), n_b) + rng.normal(0, 0.05)
        found = stats.ttest_ind(b, a, equal_var=False, alternative="greater")
        out.write("    {%d,\n     %d,\n     %s,\n     %s,\n     %r,\n     %r,\n     %r},\n" % (
            n_a, n_b, row(a), row(b), float(found.statistic), float(found.df), float(found.pvalue)))
with open(os.path.join(here, "pbt_student_known.h"), "w") as out:
    for df in (1, 1.5, 2, 3.7, 9, 18, 40, 333.3):
        for t in (-40, -3, -0.5, 0, 1e-6, 0.3, 1, 1.7, 2.5, 6, 30):
            out.write("    {%r, %r, %r},\n" % (t, df, float(stats.t.sf(t, df))))
