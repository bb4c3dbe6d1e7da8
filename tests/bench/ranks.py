#!/usr/bin/env python3
"""What the ranks of one node cost each other: images per second and core, from whole runs.

    ranks.py BUILD [--cores N] [--rounds N] [--steps N] [--generations N]

One rank has one core to itself (it is bound to the first); then as many ranks as cores, and
four times as many, share them all.  The jobs are one and the same population of LeNet-5 on
generated digits, so that every run must write the same best fitness in every generation,
or nothing is timed.  A round runs each once, in turn.  An image trained is an image a second in
progress.jsonl: training, scoring, the gather, copies and checkpoints are all in it.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile


def run(options, ranks, cores, folder):
    out = os.path.join(folder, "run")
    command = ["mpirun", "--bind-to", "none", "-np", str(ranks)]
    command += ["taskset", "-c", "0" if ranks == 1 else "0-%d" % (cores - 1)]
    command += [os.path.join(options.build, "src", "pbt_mpi"), "--resume", "never", "-o", out]
    for setting in ("population.size=%d" % (4 * cores), "backend=cpu", "threads=1",
                    "ready.steps=%d" % options.steps,
                    "budget.generations=%d" % (options.generations + 1)):
        command += ["--set", setting]
    environment = dict(os.environ, OMPI_MCA_rmaps_base_oversubscribe="1")
    subprocess.run(command, check=True, env=environment,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(os.path.join(out, "progress.jsonl")) as file:
        lines = [json.loads(line) for line in file]
    return [line["best"] for line in lines], [line["samples_per_second"] for line in lines[1:]]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=250, help="of an interval")
    parser.add_argument("--generations", type=int, default=6)
    options = parser.parse_args()
    with open("/proc/cpuinfo") as file:
        model = next(line for line in file if line.startswith("model name")).split(": ")[1].strip()
    print("%s, %d cores, %d members, intervals of %d steps, %d rounds" % (
        model, options.cores, 4 * options.cores, options.steps, options.rounds), flush=True)
    ranks_of = {1: 1, options.cores: options.cores, 4 * options.cores: options.cores}
    speeds = {ranks: [] for ranks in ranks_of}
    best = None
    with tempfile.TemporaryDirectory() as folder:
        for at in range(options.rounds):
            for ranks, cores in ranks_of.items():
                fitness, speed = run(options, ranks, options.cores, folder)
                best = best or fitness
                if fitness != best:
                    sys.exit("ranks.py: %d ranks find other fitnesses" % ranks)
                speeds[ranks].append(statistics.median(speed) / cores)
            print("  round %d: %s" % (at + 1, ", ".join(
                "%d ranks %.0f" % (ranks, speeds[ranks][-1]) for ranks in speeds)), flush=True)
    one = statistics.median(speeds[1])
    print("ranks  images/s and core  of one rank's  (round by round)")
    for ranks, of_rank in speeds.items():
        by_round = [a / b for a, b in zip(of_rank, speeds[1])]
        print("%5d %18.0f %13.1f %%  (%.1f to %.1f %%)" % (
            ranks, statistics.median(of_rank), 100 * statistics.median(of_rank) / one,
            100 * min(by_round), 100 * max(by_round)))


if __name__ == "__main__":
    main()
