#!/usr/bin/env python3
"""No function of src/ above 80 lines, no file above 600; half the functions far below.

usage: length.py ROOT

clang-format puts a function's closing brace, and nothing else but those of types and
tables, alone at the start of a line; so no parser is needed.
"""
import pathlib
import re
import sys

FUNCTION_CAP, P90_GOAL, FILE_CAP = 80, 40, 600

# Files whose functions may be long: generated register tiles and the like.
EXEMPT = ()


def functions(lines):
    """(name, number of lines) of each function definition."""
    start = None
    for i, line in enumerate(lines):
        if re.match(r"[A-Za-z_].*[^;,]$", line) and "(" in line and not line.startswith("#"):
            start, name = i, re.search(r"(\w+)\s*\(", line).group(1)
        if line.startswith("}"):
            if line == "}" and start is not None:
                yield name, i - start + 1
            start = None


def main(root):
    lengths, faults = [], []
    root = pathlib.Path(root)
    for file in sorted([*root.glob("src/**/*.[ch]"), *root.glob("src/**/*.cpp")]):
        path = file.relative_to(root).as_posix()
        lines = file.read_text(encoding="utf-8").splitlines()
        if len(lines) > FILE_CAP:
            faults.append(f"{path}: {len(lines)} lines, at most {FILE_CAP}")
        for name, length in functions(lines) if path not in EXEMPT else ():
            lengths.append(length)
            if length > FUNCTION_CAP:
                faults.append(f"{path}: {name}() has {length} lines, at most {FUNCTION_CAP}")
    lengths.sort()
    p90 = lengths[len(lengths) * 9 // 10] if lengths else 0
    if p90 > P90_GOAL:
        faults.append(f"nine of ten functions have up to {p90} lines, at most {P90_GOAL}")
    print("\n".join(faults) or
          f"{len(lengths)} functions, median {lengths[len(lengths) // 2]}, p90 {p90}, "
          f"longest {lengths[-1]}")
    return 1 if faults or not lengths else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
