#!/usr/bin/env python3
"""Manual pages: clean for mandoc, and true: every command and option of --help is there.

usage: man_test.py PBT_LINEAGE MAKE_LINEAGE SOURCE_ROOT PBT_JOB_5 [PBT_MPI]
"""
import pathlib
import re
import shutil
import subprocess
import sys

tool, _, source, job_page = sys.argv[1:5]
pages = [pathlib.Path(source, "docs/man/pbt_mpi.1"),
         pathlib.Path(source, "docs/man/pbt_lineage.1"), pathlib.Path(job_page)]


def text(page):
    return page.read_text().replace("\\-", "-").replace("Fl -", "Fl --")


def options(words):
    return set(re.findall(r"--[a-z][a-z-]*", words))


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


shown = options(output(tool, "--help")) - {"--help", "--version"}
page = text(pages[1])
named = {"--" + name for name in re.findall(r"(?:Fl -?|\| )-?-([a-z-]+)", page)}
assert shown <= named | options(page), shown - named
for command in re.findall(r"^pbt_lineage (\w+) ", output(tool, "--help"), re.MULTILINE):
    assert f".Ss {command}\n" in page, command
if len(sys.argv) > 5:
    asked = options(output(sys.argv[5], "--help"))
    page = text(pages[0])
    known = {"--" + name for name in re.findall(r"Fl --([a-z-]+)", page)}
    known |= {"--" + name for name in re.findall(r"\| -([a-z-]+)", page)}
    assert asked <= known, asked - known
keys = re.findall(r"^\| `([a-z_.NAME]+)` \|",
                  pathlib.Path(source, "docs/job-file.md").read_text(), re.MULTILINE)
page = pages[2].read_text()
assert len(keys) > 30
for key in keys:
    assert re.search(rf"^\.It Cm (\S+\.)?{re.escape(key)}$", page, re.MULTILINE), key
if shutil.which("mandoc") is None:
    print("SKIP: mandoc is not installed")
    sys.exit(0)
for page in pages:
    lint = subprocess.run(["mandoc", "-Tlint", "-Wwarning", str(page)], capture_output=True,
                          text=True)
    assert lint.returncode == 0, lint.stdout
