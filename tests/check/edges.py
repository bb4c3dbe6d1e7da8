#!/usr/bin/env python3
"""Who may include whom (docs/architecture.md), checked on the #include lines of src/.

usage: edges.py ROOT
"""
import pathlib
import re
import sys

# Folder of src/ -> the other folders it may include.
MAY_INCLUDE = {
    "base": [],
    "comm": ["base"],
    "job": ["base"],
    "backend": ["base"],
    "data": ["base", "record"],
    "record": ["base", "job"],
    "net": ["base", "backend"],
    "task": ["base", "job", "backend", "net", "data"],
    "pbt": ["base", "comm", "job", "backend", "net", "data", "task", "record"],
    "tools": ["base", "job", "record"],
}

# Pattern of a system or generated header -> the places that may include it.
ONLY_IN = [
    (r"mpi\.h", ["comm/"]),
    (r"hdf5(_hl)?\.h|H5.*\.h", ["record/"]),
    (r"toml\+\+.*|toml\.hpp", ["job/toml_shim.cpp"]),
    (r"kernels\.h|kernels/.*|cuda.*\.h|cudnn.*\.h|cublas.*\.h|nvrtc\.h", ["backend/cuda/"]),
    (r"Random123/.*", ["base/rng."]),
    (r"xxhash\.h", ["base/digest."]),
    (r"zlib\.h", ["data/"]),
]

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.MULTILINE)


def is_concrete_task(header):
    """pbt/ drives tasks through the seam alone: task/task.h, not task/classify/..."""
    return header.startswith("task/") and header.count("/") > 1


def faults(path, text):
    """Why the includes of src/`path` are wrong, one line each."""
    folder = path.split("/")[0] if "/" in path else None  # None: main.c, which may all
    for kind, header in INCLUDE.findall(text):
        for pattern, places in ONLY_IN:
            if re.fullmatch(pattern, header) and not path.startswith(tuple(places)):
                yield f"src/{path}: includes {header}, which only {', '.join(places)} may"
        target = header.split("/")[0] if "/" in header else None
        if kind == "<" or folder is None or target == folder:
            continue
        if target in MAY_INCLUDE and target not in MAY_INCLUDE[folder]:
            yield f"src/{path}: includes {header}, but {folder}/ may not use {target}/"
        if folder == "pbt" and is_concrete_task(header):
            yield f"src/{path}: includes {header}, but pbt/ knows no concrete task"


def self_test():
    """The rules can fail: one wrong line for each kind of rule."""
    wrong = {
        "task/task.c": '#include "comm/comm.h"',
        "net/net.c": "#include <mpi.h>",
        "pbt/checkpoint.c": "#include <hdf5.h>",
        "job/job.c": "#include <toml++/toml.h>",
        "backend/cpu/conv.c": '#include "kernels.h"',
        "pbt/run.c": '#include "task/classify/classify.h"',
    }
    for path, text in wrong.items():
        assert len(list(faults(path, text))) == 1, path
    assert not list(faults("main.c", '#include "task/classify/classify.h"'))


def main(root):
    self_test()
    src = pathlib.Path(root) / "src"
    found = []
    files = [p for p in sorted(src.rglob("*")) if p.suffix in (".c", ".h", ".cpp", ".cu")]
    for file in files:
        path = file.relative_to(src).as_posix()
        if "/" in path and path.split("/")[0] not in MAY_INCLUDE:
            found.append(f"src/{path}: a folder that tests/check/edges.py does not know")
            continue
        found += faults(path, file.read_text(encoding="utf-8"))
    print("\n".join(found) or f"{len(files)} files, all edges allowed")
    return 1 if found or not files else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
