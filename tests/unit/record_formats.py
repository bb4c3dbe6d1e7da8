#!/usr/bin/python3
"""Holds docs/formats.md against the files of a run, both ways, and runs its examples.

usage: record_formats.py docs/formats.md RUN
"""
import contextlib
import io
import os
import re
import sys
import tempfile

import h5py


def documented(text, heading):
    """{name: type} of the tables under one '## heading'."""
    part = text.split("\n## %s\n" % heading)[1].split("\n## ")[0]
    rows = re.findall(r"^\| `([^`]+)` \| ([a-z0-9 ]+) \|", part, re.M)
    assert len(rows) == len({name for name, _ in rows}), "a name comes twice"
    return dict(rows)


def type_name(dtype):
    if h5py.check_enum_dtype(dtype):
        return str(dtype) + " enum"
    if dtype.names:
        return "compound"
    return "text" if dtype.kind == "S" else str(dtype)


def attributes(prefix, it):
    found = {}
    for name in it.attrs:
        value = it.attrs.get_id(name)
        kind = type_name(value.dtype)
        found[prefix + "@" + name] = "texts" if kind == "text" and value.shape else kind
    return found


def found_in_lineage(path):
    found = {}
    with h5py.File(path, "r", swmr=True) as f:
        names = [name.decode() for name in f.attrs["hparams"]]

        def visit(name, it):
            group, _, last = name.partition("/")
            if last in names:
                name = group + "/NAME"
            if isinstance(it, h5py.Dataset):
                found[name] = type_name(it.dtype)
                for field in it.dtype.names or ():
                    found[name + "." + field] = type_name(it.dtype[field])
            if group != "hparam_next":  # as hparam
                found.update(attributes(name, it))

        f.visititems(visit)
        found.update(attributes("", f))
    return found


def compare(what, said, found):
    for name in sorted(set(said) | set(found)):
        assert name in found, "%s: %s is documented and not there" % (what, name)
        assert name in said, "%s: %s is there and not documented" % (what, name)
        assert said[name] == found[name], "%s: %s is %s, documented as %s" % (
            what, name, found[name], said[name])
    print("%s: %d names agree" % (what, len(said)))


def run_examples(text, run):
    """Every Python block, in a folder where runs/digits is this run."""
    run = os.path.abspath(run)
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(folder + "/runs")
        os.symlink(run, folder + "/runs/digits")
        os.chdir(folder)
        for number, block in enumerate(re.findall(r"```python\n(.*?)```", text, re.S)):
            said = io.StringIO()
            try:
                with contextlib.redirect_stdout(said):
                    exec(compile(block, "example %d" % number, "exec"), {})
            except ModuleNotFoundError as missing:
                if missing.name != "torch":
                    raise
                print("SKIP example %d: python3 has no torch" % number)
                continue
            assert said.getvalue().strip(), "example %d prints nothing" % number
        os.chdir("/")
    print("examples ran")


def main():
    text = open(sys.argv[1]).read()
    run = sys.argv[2]
    said = documented(text, "lineage.h5")
    found = found_in_lineage(run + "/lineage.h5")
    if "hparam/NAME@options" not in found:  # the job has no choice
        del said["hparam/NAME@options"]
    compare("lineage.h5", said, found)
    with h5py.File(run + "/best.h5", "r") as f:
        compare("best.h5", documented(text, "best.h5"), attributes("", f))
    run_examples(text, run)


main()
