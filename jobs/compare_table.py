#!/usr/bin/env python3
"""Raw lines and tables of jobs/compare.sh.  Needs nothing but Python.

    compare_table.py --header                   the names of the columns
    compare_table.py --line PBT_LINEAGE RUN ID  one run's line (ID: dataset,arm,seed)
    compare_table.py FILE.csv...                the tables

Each arm is tested against `pbt`: Welch's t-test, two-sided, on the test accuracy of the
seeds that it got, with Holm's correction over all arms of the data set that have two or
more; an arm with one is only listed.
"""

import csv
import json
import math
import subprocess
import sys

SCORE_STEPS = 16  # what one score of a member costs, in steps
TRIAL_STEPS = 8
COLUMNS = ("dataset,arm,seed,test_accuracy,test_macro_f1,test_loss,validation_accuracy,"
           "validation_loss,own_steps,trial_steps,scores,budget,version,seconds")


# Scores that a member makes before the plan, in scores on the whole validation split: of
# those that train for them, and of those that do not.
TRIES = {"de": 2, "shade": 2, "lshade": 2, "shade-rfa": 2 * 8 * 64 / 3000}
JUDGES = {"ltfb": 2 * 0.25}


def spent(lineage, run, arm):
    """Own steps, trial steps and scores of the whole population."""
    export = subprocess.run([lineage, "export", "--csv", run], check=True,
                            capture_output=True, text=True).stdout
    steps, trials, scores = {}, 0, 0
    rows = list(csv.DictReader(export.splitlines()))
    last = int(rows[-1]["generation"])
    for row in rows:
        member, now = row["member"], int(row["steps"])
        awake = now > steps.get(member, 0)
        steps[member] = now
        scores += awake
        if awake and int(row["generation"]) < last:
            trials += math.isfinite(float(row["fitness"]))
    scores += round(trials * (TRIES | JUDGES).get(arm, 0))
    return sum(steps.values()), trials * TRIAL_STEPS * (arm in TRIES), scores


def line(lineage, run, identity):
    text = subprocess.run([lineage, "summary", "--json", run], check=True,
                          capture_output=True, text=True).stdout
    summary = json.loads(text)
    winner = summary["winner"]
    own, trial, scores = spent(lineage, run, identity.split(",")[1])
    return ",".join(str(x) for x in (
        identity, winner["test_accuracy"], winner["test_macro_f1"], winner["test_loss"],
        winner["validation_accuracy"], winner["validation_loss"], own, trial, scores,
        own + trial + SCORE_STEPS * scores))


def beta_fraction(a, b, x):
    """Continued fraction of the incomplete beta function (Lentz)."""
    tiny = 1e-300
    c, d = 1.0, 1.0 - (a + b) * x / (a + 1.0)
    d = 1.0 / (d if abs(d) > tiny else tiny)
    total = d
    for m in range(1, 1000):
        for numerator in (m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
                          -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))):
            d = 1.0 + numerator * d
            d = 1.0 / (d if abs(d) > tiny else tiny)
            c = 1.0 + numerator / c
            c = c if abs(c) > tiny else tiny
            total *= c * d
        if abs(c * d - 1.0) < 1e-14:
            break
    return total


def incomplete_beta(a, b, x):
    if x <= 0.0 or x >= 1.0:
        return float(x >= 1.0)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
                     + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1.0) / (a + b + 2.0):
        return front * beta_fraction(a, b, x) / a
    return 1.0 - front * beta_fraction(b, a, 1.0 - x) / b


def mean_sd(values):
    mean = sum(values) / len(values)
    return mean, math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1))


def welch(a, b):
    """Two-sided p of Welch's t-test."""
    (mean_a, sd_a), (mean_b, sd_b) = mean_sd(a), mean_sd(b)
    va, vb = sd_a ** 2 / len(a), sd_b ** 2 / len(b)
    if va + vb == 0.0:
        return 1.0 if mean_a == mean_b else 0.0
    t2 = (mean_a - mean_b) ** 2 / (va + vb)
    df = (va + vb) ** 2 / (va ** 2 / (len(a) - 1) + vb ** 2 / (len(b) - 1))
    return incomplete_beta(0.5 * df, 0.5, df / (df + t2))


def holm(p):
    """Corrected p of each, in the order given."""
    corrected, least = [0.0] * len(p), 0.0
    for place, i in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        least = max(least, min(1.0, (len(p) - place) * p[i]))
        corrected[i] = least
    return corrected


def shown(p):
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def table(rows):
    arms = {}
    for row in rows:
        arms.setdefault(row["arm"], []).append(row)

    def scores(arm):
        return [100.0 * float(row["test_accuracy"]) for row in arms[arm]]
    others = [arm for arm in arms if len(arms[arm]) > 1 and arm != "pbt"]
    p = dict(zip(others, holm([welch(scores(arm), scores("pbt")) for arm in others])))
    print("| arm | seeds | test accuracy, % | sd | least | most | test loss | budget | "
          "p against pbt |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for arm in sorted(arms, key=lambda arm: (len(arms[arm]) == 1, -sum(scores(arm)) /
                                             len(arms[arm]))):
        got = scores(arm)
        if len(got) == 1:  # nothing to test
            row = arms[arm][0]
            print(f"| {arm} | 1 | {got[0]:.2f} | | | | {float(row['test_loss']):.4f} | "
                  f"{int(row['budget']):,} | |")
            continue
        mean, sd = mean_sd(got)
        loss = sum(float(row["test_loss"]) for row in arms[arm]) / len(got)
        budget = sum(int(row["budget"]) for row in arms[arm]) / len(got)
        print(f"| {arm} | {len(got)} | {mean:.3f} | {sd:.3f} | {min(got):.2f} | "
              f"{max(got):.2f} | {loss:.4f} | {budget:,.0f} | "
              f"{'' if arm == 'pbt' else shown(p[arm])} |")


def main(word):
    if word[:1] == ["--header"]:
        print(COLUMNS)
    elif word[:1] == ["--line"]:
        print(line(*word[1:]))
    else:
        for path in word:
            with open(path, newline="") as file:
                rows = list(csv.DictReader(file))
            print(f"\n{rows[0]['dataset']}: {len(rows)} runs\n")
            table(rows)


if __name__ == "__main__":
    main(sys.argv[1:])
