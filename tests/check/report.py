#!/usr/bin/env python3
"""The last words of tests/run.sh: every skip with its reason, then one line of counts.

usage: report.py JUNIT_XML SKIPS_TXT

A test is skipped if it exits 77 or if a line of its output begins with "SKIP:", as when one
case of a suite cannot run.  Exit code 1 if a test failed, if none ran, or if a skip is not
allowed by SKIPS_TXT.
"""
import re
import sys
import xml.etree.ElementTree as tree


def allowed_skips(path):
    rules = []
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            if line.strip() and not line.startswith("#"):
                test, reason = line.rstrip("\n").split(" : ", 1)
                rules.append((re.compile(test), re.compile(reason)))
    return rules


def skips_of(case):
    """The reasons for which a test, or a part of it, did not run."""
    output = case.findtext("system-out") or ""
    reasons = re.findall(r"^SKIP: *(.*?)\s*$", output, re.MULTILINE)
    if not reasons and case.find("skipped") is not None:
        reasons = ["no reason given: " + (case.find("skipped").get("message") or "")]
    return list(dict.fromkeys(reasons))


def main(report, skips_file):
    try:
        cases = list(tree.parse(report).getroot().iter("testcase"))
    except (OSError, tree.ParseError):
        cases = []
    rules = allowed_skips(skips_file)
    failed = [c for c in cases if c.find("failure") is not None or c.get("status") == "fail"]
    skipped = [c for c in cases if c not in failed and c.find("skipped") is not None]
    refused = 0
    for case in cases:
        for reason in skips_of(case):
            fine = any(test.fullmatch(case.get("name")) and why.fullmatch(reason)
                       for test, why in rules)
            refused += not fine
            print(f"skipped {case.get('name')}: {reason}"
                  + ("" if fine else "   <- not allowed by tests/skips.txt"))
    for case in failed:
        print(f"failed {case.get('name')}")
    passed = len(cases) - len(failed) - len(skipped)
    if passed == 0:
        print("no test ran")
    print(f"{passed} passed, {len(failed)} failed, {len(skipped)} skipped")
    return 1 if failed or refused or passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
