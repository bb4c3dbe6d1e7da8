#!/usr/bin/env python3
"""The report in a browser: no console error, nothing too wide on a phone, and pointing,
clicking and typing give the ancestries that a brute-force walk gives."""
import html
import json
import math
import re
import shutil
import subprocess
import time
import xml.etree.ElementTree as tree

from common import Lineage, call, folder, make, skip

WIDTHS = [360, 1400]

# Runs in the page, before its own script and after; the answers become an attribute.
# A browser without a window draws no frames, so frames come by the clock.
BEFORE = """<script>window.faults = [];
requestAnimationFrame = (then) => setTimeout(then, 1);
addEventListener("error", (event) => faults.push(event.message));</script>"""
AFTER = """<script>setTimeout(async () => {
  const asked = %s, answers = {};
  const nap = () => new Promise((done) => setTimeout(done, 50));
  const $ = (id) => document.getElementById(id);
  const type = (id, value) => {
    $(id).value = value;
    $(id).dispatchEvent(new Event("input", { bubbles: true }));
  };
  const rows = () => [...$("way").tBodies[0].rows].map((row) =>
    [...row.cells].map((cell) => cell.textContent));
  try {
    answers.width = [innerWidth, document.documentElement.scrollWidth];
    answers.shown = [...document.querySelectorAll("svg.figure")]
      .filter((svg) => svg.getBoundingClientRect().width > 0).map((svg) => svg.dataset.figure);
    answers.ways = [];
    for (const [g, m] of asked) {
      type("generation", g);
      type("member", m);
      $("asked").requestSubmit();
      await nap();
      answers.ways.push(rows());
      answers.said = $("said").textContent;
    }
    const svg = [...document.querySelectorAll("svg[data-figure=fitness]")]
      .find((one) => one.getBoundingClientRect().width > 0);
    const overlay = () => svg.querySelectorAll("path.chosen").length;
    answers.overlay = [overlay()];
    $("clear").click();
    await nap();
    answers.overlay.push(overlay());
    const box = svg.getBoundingClientRect();
    const at = { clientX: box.left + box.width / 2, clientY: box.top + box.height / 2,
                 bubbles: true };
    $("said").textContent = "";
    svg.dispatchEvent(new PointerEvent("pointermove", at));
    await nap();
    answers.hover = $("said").textContent;
    svg.dispatchEvent(new MouseEvent("click", at));
    await nap();
    answers.overlay.push(overlay());
    answers.clicked = rows().length;
    const plot = svg.closest(".plot");
    plot.focus();
    answers.focused = document.activeElement === plot;
    answers.keys = [];
    for (const key of ["Escape", "Home", "ArrowRight", "ArrowUp", "ArrowDown", "Enter"]) {
      plot.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
      await nap();
      answers.keys.push($("said").textContent, overlay());
    }
  } catch (error) {
    faults.push(String(error));
  }
  answers.faults = faults;
  document.body.dataset.answers = JSON.stringify(answers);
  parent.postMessage(JSON.stringify(answers), "*");
}, 100);</script>"""

# A window is never narrower than 500 pixels, but a frame is as narrow as it is told.
FRAME = """<!DOCTYPE html><html><head><title>frame</title></head><body style="margin:0">
<iframe src="%s" style="border:0;width:%dpx;height:2000px"></iframe>
<script>addEventListener("message", (event) => {
  document.body.dataset.answers = event.data;
});</script></body></html>"""
NARROWEST = 500


def browse(browser, path, width, script):
    """The answers of the script, and what the console said."""
    page = path.read_text()
    page = page.replace("<head>", "<head>" + BEFORE, 1).replace("</body>", script + "</body>", 1)
    driven = path.with_name(f"driven-{width}.html")
    driven.write_text(page)
    if width < NARROWEST:
        frame = driven.with_name(f"frame-{width}.html")
        frame.write_text(FRAME % (driven.name, width))
        driven = frame
    done = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
         f"--user-data-dir={path.parent / 'profile'}", f"--window-size={width},2000",
         "--enable-logging=stderr", "--virtual-time-budget=60000", "--dump-dom",
         driven.resolve().as_uri()], capture_output=True, timeout=120)
    console = [line for line in done.stderr.decode(errors="replace").splitlines()
               if "CONSOLE" in line]
    found = re.search(r'data-answers="([^"]*)"', done.stdout.decode())
    assert found, done.stderr.decode()[-2000:]
    return json.loads(html.unescape(found.group(1))), console


def stretches(lineage, g, m):
    """[first generation, last generation, member] as the page's table has them."""
    rows = []
    values = None
    for place in lineage.way(g, m):
        now = (place[1], *(lineage.value[name][place] for name in lineage.names))
        if now == values:
            rows[-1][1] = place[0]
        else:
            rows.append([place[0], place[0], place[1]])
        values = now
    return rows


def read_row(cells):
    first, _, last = cells[0].partition(" - ")
    return [int(first), int(last or first), int(cells[1])]


def check(browser, run, asked):
    lineage = Lineage(run)
    page = run / "report.html"
    begin = time.monotonic()
    call("report", run)
    print(f"{lineage.members} members x {lineage.n} generations: "
          f"{time.monotonic() - begin:.2f} s, {page.stat().st_size / 1e6:.2f} MB")
    text = page.read_text()
    assert not re.search(r'(src|href)=|@import|url\((?!#)|fetch\(|XMLHttp', text)
    assert text.count("</script>") == 2
    for width in WIDTHS:
        got, console = browse(browser, page, width, AFTER % json.dumps(asked))
        assert got["faults"] == [] and console == [], (got["faults"], console)
        inner, scroll = got["width"]
        assert scroll <= inner == width, got["width"]
        figures = ["fitness", "phylogeny", "copies", "roots", "time",
                   *(f"hparam-{name}" for name in lineage.names)]
        assert sorted(got["shown"]) == sorted(figures), got["shown"]  # each of them once
        for (g, m), rows in zip(asked, got["ways"]):
            assert [read_row(row) for row in rows] == stretches(lineage, g, m), (g, m)
        g, m = asked[-1]
        assert got["said"].startswith(f"generation {g}, member {m}: "), got["said"]
        assert got["overlay"] == [1, 0, 1], got["overlay"]
        assert got["hover"].startswith("generation ") and got["clicked"] > 0
        assert got["focused"]
        said, paths = got["keys"][::2], got["keys"][1::2]
        assert paths == [0, 0, 0, 0, 0, 1], paths
        assert said[1].startswith("generation 0,") and said[2].startswith("generation 1,")
        rank = [(x if math.isfinite(x) else -math.inf, -i) for i, x in enumerate(lineage.fitness[1])]
        best = -max(rank)[1]
        assert said[3] != said[2] or said[2].startswith(f"generation 1, member {best}:")


def check_plots(run):
    """Whole XML; drawn in concrete colours; the same in a viewer that knows no CSS file."""
    call("plot", run)
    names = sorted(path.name for path in (run / "plots").iterdir())
    assert len(names) == 9 and "fitness.svg" in names and "hparam-lr.svg" in names, names
    for path in (run / "plots").iterdir():
        root = tree.parse(path).getroot()
        assert root.tag.endswith("svg") and root.get("width") == "760" or "copies" in path.name
        assert "nan" not in path.read_text() and "inf" not in path.read_text().replace("info", "")
    converter = shutil.which("rsvg-convert")
    if converter:
        subprocess.run([converter, str(run / "plots" / "fitness.svg"), "-o",
                        str(run / "fitness.png")], check=True, timeout=60)


def main():
    small = make(folder("small"), 6, 12, 4, "pbt")
    check_plots(small)
    wild = make(folder("wild"), 5, 9, 3, "wild")
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        call("report", small)
        skip("Chromium is not installed")
    check(browser, small, [(11, 2), (5, 0), (0, 3)])
    check(browser, wild, [(8, 0), (8, 4), (3, 1)])
    large = make(folder("large"), 300, 200, 5, "pbt")  # too many for a line each
    check(browser, large, [(199, 7), (100, 250)])


main()
