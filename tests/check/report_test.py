#!/usr/bin/env python3
"""report.py says what ctest's report says, and is not easily pleased."""
import contextlib
import io
import pathlib
import tempfile

import report

PASS = '<testcase name="unit.a" status="run"><system-out>fine</system-out></testcase>'
FAIL = '<testcase name="unit.b" status="fail"><failure message=""/></testcase>'
SKIP = ('<testcase name="unit.c" status="notrun"><skipped message="SKIP_RETURN_CODE=77"/>'
        "<system-out>x\nSKIP: needs a GPU\n</system-out></testcase>")
MUTE = '<testcase name="unit.d" status="notrun"><skipped message="77"/></testcase>'
PART = ('<testcase name="unit.e" status="run"><system-out>SKIP: needs a GPU\n'
        "</system-out></testcase>")
RULES = "# comment\nunit\\..* : needs a GPU\n"


def run(cases, rules=RULES):
    with tempfile.TemporaryDirectory() as folder:
        xml, skips = pathlib.Path(folder, "r.xml"), pathlib.Path(folder, "s.txt")
        if cases is not None:
            xml.write_text(f"<testsuite>{''.join(cases)}</testsuite>")
        skips.write_text(rules)
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            code = report.main(xml, skips)
        return code, out.getvalue().splitlines()


code, lines = run([PASS, SKIP])
assert code == 0 and lines == ["skipped unit.c: needs a GPU", "1 passed, 0 failed, 1 skipped"], lines
code, lines = run([PASS, FAIL])
assert code == 1 and lines[-1] == "1 passed, 1 failed, 0 skipped", lines
code, lines = run([PASS, SKIP], "other.* : needs a GPU\n")
assert code == 1 and "not allowed" in lines[0], lines
code, lines = run([PASS, MUTE])
assert code == 1 and "no reason given" in lines[0], lines
code, lines = run([PART])
assert code == 0 and lines == ["skipped unit.e: needs a GPU", "1 passed, 0 failed, 0 skipped"], lines
for nothing in ([], None, [SKIP]):
    code, lines = run(nothing)
    assert code == 1 and "no test ran" in lines, lines
print("ok")
