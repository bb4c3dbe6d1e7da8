// What the page can be asked: which member was that, and where did its state come from?
// Figures are complete without this; it only lays a chosen ancestry over them.
"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const data = JSON.parse($("data").textContent);
  const G = data.generations, M = data.members, H = data.hparams.length;

  const bytes = (text) => {
    const raw = atob(text), out = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
    return out.buffer;
  };
  const floats = (text) => new Float32Array(bytes(text));
  const ints = (text) => new Int32Array(bytes(text));

  // Stored are the first generation's values and then only what changed: who went on with
  // whose state, and with which values.  Whole tables [generation, member] are made of it.
  const fitness = floats(data.fitness);
  const count = ints(data.count), member = ints(data.member), parent = ints(data.parent);
  const from = new Int32Array(G * M); // whose state of the generation before, -1: none
  const value = data.hparams.map(() => new Float32Array(G * M));
  const changed = data.hparams.map((one) => floats(one.changed));
  data.hparams.forEach((one, h) => value[h].set(floats(one.first)));
  from.fill(-1, 0, M);
  for (let g = 1, k = 0; g < G; g++) {
    for (let m = 0; m < M; m++) from[g * M + m] = m;
    for (let h = 0; h < H; h++) value[h].copyWithin(g * M, (g - 1) * M, g * M);
    for (let end = k + count[g]; k < end; k++) {
      const at = g * M + member[k];
      from[at] = parent[k];
      for (let h = 0; h < H; h++) value[h][at] = changed[h][k];
    }
  }

  // ---- asking ----
  const way = (g, m) => { // members from the first generation to g
    const back = [];
    while (m >= 0) {
      back.push([g, m]);
      m = g > 0 ? from[g * M + m] : -1;
      g--;
    }
    return back.reverse();
  };
  const short = (x) => Number.isFinite(x) ? String(+x.toPrecision(4)) : "-";
  const shown = (h, x) => {
    const options = data.hparams[h].options;
    return short(options ? options[Math.round(x)] : x);
  };
  const describe = (g, m) => {
    const at = g * M + m;
    const values = data.hparams.map((one, h) => `${one.name} ${shown(h, value[h][at])}`);
    const origin = g === 0 ? "first weights" : from[at] === m ? ""
      : from[at] < 0 ? "restarted" : `copied from member ${from[at]}`;
    return `generation ${g}, member ${m}: ${data.metric} ${short(fitness[at])}; ` +
      [...values, origin].filter(Boolean).join(", ");
  };
  const better = (a, b) => !Number.isFinite(b) || (data.maximize ? a > b : a < b);
  const ranking = (g) => [...Array(M).keys()].sort((a, b) => {
    const x = fitness[g * M + a], y = fitness[g * M + b];
    if (!Number.isFinite(x) || !Number.isFinite(y)) {
      return Number.isFinite(y) - Number.isFinite(x) || a - b;
    }
    return x === y ? a - b : better(x, y) ? -1 : 1;
  });

  // ---- the figures ----
  const NS = "http://www.w3.org/2000/svg";
  const figures = [...document.querySelectorAll("svg[data-figure]")].map((svg) => {
    const [xl, xh, xa, xb] = svg.dataset.x.split(" ").map(Number);
    const [yl, yh, ya, yb, log] = svg.dataset.y.split(" ").map(Number);
    const f = log ? Math.log : (v) => v;
    const overlay = document.createElementNS(NS, "g");
    overlay.setAttribute("pointer-events", "none");
    svg.append(overlay);
    const name = svg.dataset.figure;
    return {
      svg, overlay, name, hparam: data.hparams.findIndex((one) => one.figure === name),
      x: (v) => xa + (v - xl) / (xh - xl) * (xb - xa),
      y: (v) => ya + (f(v) - f(yl)) / (f(yh) - f(yl)) * (yb - ya),
      unx: (p) => xl + (p - xa) / (xb - xa) * (xh - xl),
      uny: (p) => yl + (p - ya) / (yb - ya) * (yh - yl),
    };
  });
  const column = (figure) => figure.name === "fitness" ? fitness
    : figure.hparam >= 0 ? value[figure.hparam] : null;
  const clip = (figure) => `url(#${figure.svg.id}-clip)`;

  const element = (parentNode, name, attributes) => {
    const one = document.createElementNS(NS, name);
    for (const key in attributes) one.setAttribute(key, attributes[key]);
    parentNode.append(one);
    return one;
  };
  const drawWay = (figure, path) => {
    const table = column(figure);
    if (!table) return;
    let d = "";
    for (const [g, m] of path) {
      const v = table[g * M + m];
      if (!Number.isFinite(v)) continue;
      const y = figure.y(v).toFixed(1);
      d += figure.hparam >= 0
        ? `${d ? "L" : "M"}${figure.x(g - 0.5).toFixed(1)} ${y}H${figure.x(g + 0.5).toFixed(1)}`
        : `${d ? "L" : "M"}${figure.x(g).toFixed(1)} ${y}`;
    }
    element(figure.overlay, "path", { class: "chosen", d, "clip-path": clip(figure) });
  };
  const drawSpot = (figure, g, m) => {
    const table = column(figure);
    const v = table ? table[g * M + m] : NaN;
    if (Number.isFinite(v)) {
      element(figure.overlay, "circle",
        { class: "spot", r: 4.5, cx: figure.x(g), cy: figure.y(v), "clip-path": clip(figure) });
    }
  };
  const markLives = (figure, path) => {
    if (figure.name !== "phylogeny") return;
    const last = new Map(); // of each life: the last generation before it was handed on
    let life = "";
    path.forEach(([g, m], i) => {
      if (i === 0 || path[i - 1][1] !== m) life = `${m} ${g}`;
      last.set(life, g);
    });
    for (const line of figure.svg.querySelectorAll(".life")) {
      const g = last.get(line.dataset.life);
      if (g !== undefined) {
        const d = line.getAttribute("d").replace(/H[-\d.]+$/, `H${figure.x(g + 0.5).toFixed(1)}`);
        element(figure.overlay, "path", { class: "chosen", d });
      }
    }
  };

  // ---- what is chosen, and what is looked at ----
  const winner = data.winner || [G - 1, 0];
  let chosen = null, look = { g: winner[0], m: winner[1] };

  const paint = () => {
    for (const figure of figures) {
      figure.overlay.replaceChildren();
      if (chosen) {
        drawWay(figure, chosen);
        markLives(figure, chosen);
      }
      drawSpot(figure, look.g, look.m);
    }
  };
  const say = () => {
    $("said").textContent = describe(look.g, look.m);
    $("generation").value = look.g;
    $("member").value = look.m;
  };
  const table = () => {
    const body = $("way").tBodies[0];
    body.replaceChildren();
    $("ancestry").classList.toggle("hidden", !chosen);
    if (!chosen) return;
    const [lastG, lastM] = chosen[chosen.length - 1];
    $("whose").textContent = `Ancestry of member ${lastM} in generation ${lastG}`;
    const differs = (i) => chosen[i][1] !== chosen[i - 1][1] || value.some((column_) =>
      column_[chosen[i][0] * M + chosen[i][1]] !== column_[chosen[i - 1][0] * M + chosen[i - 1][1]]);
    for (let i = 0, begin = 0; i < chosen.length; i++) {
      if (i + 1 < chosen.length && !differs(i + 1)) continue;
      const [g, m] = chosen[i], row = body.insertRow();
      const cells = [chosen[begin][0] < g ? `${chosen[begin][0]} - ${g}` : g, m, short(fitness[g * M + m]),
        ...value.map((column_, h) => shown(h, column_[g * M + m]))];
      for (const cell of cells) row.insertCell().textContent = cell;
      begin = i + 1;
    }
  };
  let waiting = false;
  const update = () => { // at most once a frame
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; paint(); say(); });
  };
  const lookAt = (g, m) => {
    look = { g: Math.max(0, Math.min(G - 1, Math.round(g))),
             m: Math.max(0, Math.min(M - 1, Math.round(m))) };
    update();
  };
  const choose = () => { chosen = way(look.g, look.m); table(); update(); };
  const clear = () => { chosen = null; table(); update(); };

  const nearest = (figure, event) => {
    const box = figure.svg.getBoundingClientRect(), view = figure.svg.viewBox.baseVal;
    const px = (event.clientX - box.left) / box.width * view.width;
    const py = (event.clientY - box.top) / box.height * view.height;
    const t = column(figure);
    if (t) {
      const g = Math.max(0, Math.min(G - 1, Math.round(figure.unx(px))));
      let best = -1, least = Infinity;
      for (let m = 0; m < M; m++) {
        const distance = Math.abs(figure.y(t[g * M + m]) - py);
        if (distance < least) { least = distance; best = m; }
      }
      return best < 0 ? null : [g, best];
    }
    const hit = event.target.closest(".life");
    if (figure.name === "phylogeny" && hit) {
      const [m, first] = hit.dataset.life.split(" ").map(Number);
      return [Math.max(first, Math.min(G - 1, Math.round(figure.unx(px)))), m];
    }
    if (figure.name === "time") {
      const m = Math.round(figure.unx(px));
      return m >= 0 && m < M ? [look.g, m] : null;
    }
    return null;
  };
  const copiesAt = (figure, event) => { // for the heat map: how often was that?
    const box = figure.svg.getBoundingClientRect(), view = figure.svg.viewBox.baseVal;
    const bins = Math.min(M, 48);
    const bin = (v) => Math.floor((Math.round(v)) * bins / M);
    const to = bin(figure.unx((event.clientX - box.left) / box.width * view.width));
    const of = bin(figure.uny((event.clientY - box.top) / box.height * view.height));
    if (to < 0 || of < 0 || to >= bins || of >= bins) return;
    let n = 0;
    for (let k = 0; k < member.length; k++) {
      n += parent[k] >= 0 && parent[k] !== member[k] && bin(member[k]) === to && bin(parent[k]) === of;
    }
    const range = (b) => {
      const low = Math.ceil(b * M / bins), high = Math.ceil((b + 1) * M / bins) - 1;
      return low === high ? `member ${low}` : `members ${low} to ${high}`;
    };
    $("said").textContent = `${range(to)} copied ${range(of)} ${n} time${n === 1 ? "" : "s"}`;
  };

  for (const figure of figures) {
    figure.svg.addEventListener("pointermove", (event) => {
      if (figure.name === "copies") { copiesAt(figure, event); return; }
      const place = nearest(figure, event);
      if (place) lookAt(...place);
    });
    figure.svg.addEventListener("click", (event) => {
      const place = nearest(figure, event);
      if (place) { lookAt(...place); choose(); }
    });
  }

  // ---- the keyboard ----
  const step = (event) => {
    const order = ranking(look.g), rank = order.indexOf(look.m);
    const keys = {
      ArrowLeft: () => lookAt(look.g - 1, look.m),
      ArrowRight: () => lookAt(look.g + 1, look.m),
      ArrowUp: () => lookAt(look.g, order[Math.max(0, rank - 1)]),
      ArrowDown: () => lookAt(look.g, order[Math.min(M - 1, rank + 1)]),
      Home: () => lookAt(0, look.m),
      End: () => lookAt(G - 1, look.m),
      Enter: choose,
      Escape: clear,
    };
    if (keys[event.key] && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      keys[event.key]();
    }
  };
  for (const plot of document.querySelectorAll(".plot")) {
    plot.tabIndex = 0;
    plot.addEventListener("keydown", step);
  }
  $("generation").max = G - 1;
  $("member").max = M - 1;
  $("generation").addEventListener("input", (event) => lookAt(+event.target.value, look.m));
  $("member").addEventListener("input", (event) => lookAt(look.g, +event.target.value));
  $("asked").addEventListener("submit", (event) => { event.preventDefault(); choose(); });
  $("clear").addEventListener("click", clear);
  $("to-winner").addEventListener("click", () => { lookAt(...winner); choose(); });
  document.documentElement.classList.add("js");
  update();
})();
