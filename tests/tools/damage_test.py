#!/usr/bin/env python3
"""Damaged, foreign, torn, growing and killed: the right answer or one clear line, soon."""
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import h5py

from common import Lineage, call, call_json, folder, maker, make, tool

COMMANDS = [["summary"], ["best"], ["tree"], ["compare"], ["export", "--csv"],
            ["follow", "--once"], ["plot"], ["report"]]
LIMIT = 30  # seconds


def run_tool(*words):
    begin = time.monotonic()
    done = subprocess.run([tool, *map(str, words)], capture_output=True, timeout=LIMIT,
                          env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})  # HDF5's own
    return done.returncode, done.stderr.decode(), time.monotonic() - begin


def all_commands(path, codes):
    for words in COMMANDS:
        code, error, _ = run_tool(words[0], path, *words[1:])
        assert code in codes, (words, path, code, error)
        if code:
            assert error.startswith("pbt_lineage: ") and error.count("\n") == 1, error


def foreign(work, good):
    all_commands(work / "nowhere", [66])
    (work / "empty").mkdir()
    all_commands(work / "empty", [66])
    for name, data in [("zero.h5", b""), ("text.h5", b"name = 1\n"), ("noise.h5", os.urandom(4096)),
                       ("magic.h5", b"\x89HDF\r\n\x1a\n\x03" + os.urandom(4096))]:
        (work / name).write_bytes(data)
        all_commands(work / name, [65])
    for low in ("earliest", "v110"):
        with h5py.File(work / "other.h5", "w", libver=(low, "v110")) as f:
            f["fitness"] = [[1.0, 2.0]]
        all_commands(work / "other.h5", [65])
    os.mkfifo(work / "pipe.h5")
    all_commands(work / "pipe.h5", [65])
    all_commands("/dev/zero", [65])
    (work / "dir.h5").mkdir()
    shutil.copy(good / "lineage.h5", work / "secret.h5")


def damaged(work, good):
    """Any byte may be wrong, any part missing: never a crash, a hang or a strange code."""
    rng = random.Random(5)
    whole = (good / "lineage.h5").read_bytes()
    outcomes = {}
    for i in range(60):
        data = bytearray(whole)
        if i % 3 == 0:
            del data[rng.randrange(len(data)):]
        else:
            for _ in range(rng.choice([1, 4, 64])):
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path = work / "damaged.h5"
        path.write_bytes(data)
        words = rng.choice([["summary"], ["best"], ["tree", "--all"], ["export", "--jsonl"]])
        code, error, seconds = run_tool(words[0], path, *words[1:])
        assert code in (0, 65), (i, code, error)
        assert (code == 0) == (error == "") and error.count("\n") <= 1, error
        assert seconds < LIMIT / 2, seconds
        outcomes[code] = outcomes.get(code, 0) + 1
    assert outcomes.get(65, 0) > 10, outcomes


def live(work):
    """A writer at work: every look sees whole generations, never fewer than before."""
    run = work / "live"
    writer = subprocess.Popen([maker, str(run), "6", "40", "3", "pbt", "0.05"])
    while not (run / "progress.jsonl").exists():
        time.sleep(0.01)
    follower = subprocess.Popen([tool, "follow", str(run), "--interval", "0.1"],
                                stdout=subprocess.PIPE, text=True)
    seen = 0
    while writer.poll() is None and seen < 30:
        state = call_json("summary", run, "--json")
        assert state["generations"] >= seen and state["planned"] == 40
        assert "running on" in state["state"] or writer.poll() is not None, state["state"]
        seen = state["generations"]
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    state = call_json("summary", run, "--json")
    assert "killed" in state["state"] and state["generations"] >= seen, state["state"]
    lineage = Lineage(run)
    assert state["generations"] == lineage.n
    lines = follower.communicate(timeout=LIMIT)[0].splitlines()
    assert follower.returncode == 0 and "killed" in lines[-1], lines[-1]
    assert [int(line.split()[0]) for line in lines[1:-1]] == list(range(lineage.n))
    all_commands(run, [0])
    return run


def torn(run):
    """A last line of the live log, and a last generation, that were not finished."""
    log = run / "progress.jsonl"
    text = log.read_text()
    log.write_text(text + '{"generation": 999, "ti')
    lines = call("follow", run, "--once").splitlines()
    assert len(lines) == 2 + text.count("\n"), lines
    log.write_text(text)
    with h5py.File(run / "lineage.h5", "r", swmr=True) as f:
        n = len(f["committed"])
    copy = folder("torn")
    shutil.copytree(run, copy, dirs_exist_ok=True)
    (copy / "lock").unlink()
    subprocess.run(["h5clear", "-s", "--increment=0", str(copy / "lineage.h5")], check=True,
                   stdout=subprocess.DEVNULL)
    with h5py.File(copy / "lineage.h5", "r+") as f:  # rows without their commit
        for name in ("fitness", "parent"):
            f[name].resize(n + 1, axis=0)
    assert call_json("summary", copy, "--json")["generations"] == n
    assert call("tree", copy).splitlines()


def resumed(work):
    """The log was written anew from an earlier generation while somebody followed."""
    run = make(work / "resumed", 3, 4, 1, "pbt")
    log = run / "progress.jsonl"
    lines = log.read_text().splitlines()
    (run / "lock").write_text(f"pbt_mpi lock 1\nhost elsewhere\npid 1\nstart 1\nboot x\n"
                              "space y\njob -\ntime 2027-01-15T08:00:00Z\n")
    follower = subprocess.Popen([tool, "follow", str(run), "--interval", "0.05"],
                                stdout=subprocess.PIPE, text=True)
    time.sleep(1.0)
    again = lines[:2] + [line.replace('"copies": ', '"copies": 7') for line in lines[2:]]
    (run / "new").write_text("\n".join(again) + "\n")
    (run / "new").rename(log)
    time.sleep(1.0)
    (run / "lock").unlink()
    out = follower.communicate(timeout=LIMIT)[0].splitlines()
    assert "resumed from generation 2" in out, out
    assert [line.split()[0] for line in out[1:-1] if line[0] == " "] == list("012323"), out


def empty_run(work):
    """A lineage without a generation yet."""
    run = work / "none"
    make(run, 3, 0, 1)
    assert call_json("summary", run, "--json")["winner"] is None
    assert "No winner yet" in call("summary", run)
    for words in (["best"], ["tree"], ["report"], ["plot"], ["compare"]):
        assert "no committed generation yet" in call(words[0], run, code=65)
    call("export", run, "--csv")


def words(good):
    for bad in (["sumary"], ["summary"], ["summary", "a", "b"], ["summary", good, "--al"],
                ["best", good, "--member", "99"], ["best", good, "--member", "x"],
                ["best", good, "--csv", "--json"], ["tree", good, "--dot", "--newick"],
                ["plot", good, "--width", "3"], ["follow", good, "--interval", "0"],
                ["report", good / "lineage.h5"], []):
        call(*bad, code=64)
    assert "did you mean summary?" in call("sumary", code=64)
    for word in ("--help", "help", "--version"):
        assert "pbt_lineage" in call(word)
    for name in ("summary", "best", "tree", "compare", "export", "report", "plot", "follow"):
        assert call(name, "--help").startswith(f"pbt_lineage {name} ")


area = folder("work")
sound = make(area / "good", 5, 12, 4)
words(sound)
foreign(area, sound)
empty_run(area)
damaged(area, sound)
torn(live(area))
resumed(area)
sys.exit(0)
