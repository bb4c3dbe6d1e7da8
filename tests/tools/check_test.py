#!/usr/bin/env python3
"""pbt_lineage check over copies of a whole run, damaged in one way at a time.

Usage: check_test.py PBT_LINEAGE RUN      RUN: tests/golden/schema-1/run, which stays as it is
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

TOOL, RUN = sys.argv[1], sys.argv[2]
SET = "checkpoints/000004/"


def check(folder, *words):
    done = subprocess.run([TOOL, "check", folder, *words], capture_output=True, text=True, timeout=60)
    errors = done.stderr.splitlines()
    assert len(errors) == (done.returncode != 0), done.stderr
    assert all(line.startswith("pbt_lineage: ") for line in errors)
    return done


def flip(path, at):
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 8]))


def cut(path, n):
    os.truncate(path, n)


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def half(path):
    return os.path.getsize(path) // 2


def second_set(folder):
    """As if a newer set had been cut short by a kill."""
    shutil.copytree(folder + "/" + SET, folder + "/checkpoints/000005")
    os.remove(folder + "/checkpoints/000005/manifest")


# name -> (what is done to the copy, exit code, words of the report)
CASES = {
    "nothing": (lambda f: None, 0, "Recoverable: 4 generations (checkpoint 000004), finished"),
    "a set without a manifest": (second_set, 0, "checkpoints/000005   no set"),
    "a line of the log cut short": (lambda f: cut(f + "/progress.jsonl", half(f + "/progress.jsonl")),
                                    0, "one that was cut short"),
    "a line of the log changed": (lambda f: flip(f + "/progress.jsonl", 3), 65,
                                  "progress.jsonl       DAMAGED"),
    "a bit of the lineage": (lambda f: flip(f + "/lineage.h5", 22000), None, ""),
    "the lineage cut": (lambda f: cut(f + "/lineage.h5", 20000), 65, "lineage.h5           DAMAGED"),
    "the lineage gone": (lambda f: os.remove(f + "/lineage.h5"), 65, "lineage.h5           DAMAGED"),
    "a bit of a member": (lambda f: flip(f + "/" + SET + "member-00001.h5", 9000), 65,
                          "No checkpoint is whole"),
    "a member gone": (lambda f: os.remove(f + "/" + SET + "member-00002.h5"), 65,
                      "No checkpoint is whole"),
    "a bit of the manifest": (lambda f: flip(f + "/" + SET + "manifest", 30), 65,
                              "checkpoints/000004   DAMAGED"),
    "a bit of the best model": (lambda f: flip(f + "/best.h5", half(f + "/best.h5")), 65,
                                "best.h5              DAMAGED"),
    "another member as the best": (lambda f: shutil.copy(f + "/" + SET + "member-00000.h5",
                                                         f + "/best.h5"), 65,
                                   "best.h5              DAMAGED"),
    "a job that is none": (lambda f: write(f + "/job.toml", "[data]\nkind = \"x\"\n"), 65,
                           "job.toml             DAMAGED"),
}


def main():
    with tempfile.TemporaryDirectory(prefix="pbt-") as folder:
        for i, (name, (damage, code, words)) in enumerate(CASES.items()):
            copy = "%s/%d" % (folder, i)
            shutil.copytree(RUN, copy)
            os.remove(copy + "/best.h5")  # not by a second name of the set's file
            shutil.copyfile(RUN + "/best.h5", copy + "/best.h5")
            damage(copy)
            before = open(copy + "/lineage.h5", "rb").read() \
                if os.path.exists(copy + "/lineage.h5") else b""
            done = check(copy, "--repair", copy + "/mended.h5") if before else check(copy)
            assert code is None or done.returncode == code, (name, done.stdout, done.stderr)
            assert done.returncode in (0, 65), (name, done.returncode)
            assert words in done.stdout or "cannot" in words, (name, done.stdout)
            if before:
                assert open(copy + "/lineage.h5", "rb").read() == before, name  # only read
            if os.path.exists(copy + "/mended.h5"):
                kept = int(re.search(r"holds (\d+) generations", done.stdout).group(1))
                table = subprocess.run([TOOL, "export", copy + "/mended.h5", "--csv"], check=True,
                                       capture_output=True, text=True).stdout
                whole = subprocess.run([TOOL, "export", RUN, "--csv"], check=True,
                                       capture_output=True, text=True).stdout
                assert whole.startswith(table) and table.count("\n") == 1 + 3 * kept, name
            print("ok ", name, done.returncode)
        assert check(folder + "/none").returncode == 66


main()
