// What else can be played with: source by target, shares of clips, sounds, the atlas of networks.
// Each takes the data that its page carries; its picture stands where no script runs. No library.
"use strict";

function records(table) {
  return table.data.map((row) => Object.fromEntries(table.columns.map((name, i) => [name, row[i]])));
}

function distinct(rows, name) {
  return [...new Set(rows.map((row) => row[name]))];
}

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function points(share) {
  return `${share < 0 ? "−" : "+"}${Math.abs(100 * share).toFixed(1)}`;
}

function choice(name, values, shown = (value) => value) {
  const select = node("select", {}, ...values.map((value) => node("option", {value}, shown(value))));
  return [select, node("label", {}, name, select)];
}

function table(caption, heads, body) {
  const row = (cells, tag) => node("tr", {}, ...cells.map((cell, i) =>
    node(i === 0 || tag === "th" ? "th" : "td",
         tag === "th" ? {scope: "col"} : i === 0 ? {scope: "row"} : {}, cell)));
  return node("div", {class: "scroll", role: "group", tabindex: 0, "aria-label": caption},
    node("table", {}, node("caption", {}, caption), node("thead", {}, row(heads, "th")),
         node("tbody", {}, ...body.map((cells) => row(cells, "td")))));
}

function swatch(i) {
  return node("svg", {class: "swatch", viewBox: "0 0 30 10", "aria-hidden": "true"},
              node("line", {class: `series s${i}`, x1: 0, y1: 5, x2: 30, y2: 5}));
}

// Lines over a common x, as a picture; the table beside it says the same in words.
function chart(series, xs, ticks, label) {
  const [left, right, top, bottom] = [38, 350, 10, 170];
  const all = series.flatMap((one) => one.filter((y) => y != null));
  const [low, high] = [Math.min(...all) - 0.02, Math.max(...all) + 0.02];
  const x = (value) => left + 8 + (right - left - 16) * (value - xs[0]) / (xs.at(-1) - xs[0] || 1);
  const y = (value) => bottom - (bottom - top) * (value - low) / (high - low);
  const svg = node("svg", {class: "chart", viewBox: "0 0 360 205", "aria-hidden": "true"});
  for (const share of [low + 0.02, (low + high) / 2, high - 0.02]) {
    svg.append(node("line", {class: "grid", x1: left, x2: right, y1: y(share), y2: y(share)}),
               node("text", {x: left - 4, y: y(share) + 4, "text-anchor": "end"}, percent(share)));
  }
  xs.forEach((value, i) => ticks[i] && svg.append(
    node("text", {x: x(value), y: bottom + 14, "text-anchor": "middle"}, ticks[i])));
  svg.append(node("text", {x: right, y: bottom + 30, "text-anchor": "end"}, label));
  series.forEach((one, i) => {
    const known = xs.map((value, k) => [x(value), one[k]]).filter((pair) => pair[1] != null);
    const places = known.map((pair) => [pair[0], y(pair[1])]);
    svg.append(node("polyline", {class: `series s${i}`, points: places.join(" ")}));
    for (const [cx, cy] of places) svg.append(node("circle", {class: `dot s${i}`, cx, cy, r: 3}));
  });
  return svg;
}

function matrix(place, data) {
  const [gains, taps] = [records(data.gains), records(data.taps)];
  const [sources, targets] = [distinct(gains, "source"), distinct(gains, "target")];
  const strongest = Math.max(...gains.map((one) => Math.abs(one.difference)));
  const said = node("output", {"aria-live": "polite"});
  const below = node("div");
  const cells = [];

  function choose(button, gain) {
    cells.forEach((one) => one.setAttribute("aria-pressed", one === button));
    said.textContent = `${gain.source} → ${gain.target}: ${points(gain.difference)} points over `
      + `random weights (${points(gain.ci_low)} to ${points(gain.ci_high)})`
      + (gain.clear ? "" : ", not clear");
    const here = taps.filter((one) => one.source === gain.source && one.target === gain.target);
    const names = {true: "true labels", shuffled: "shuffled labels", none: "random weights"};
    const kinds = Object.keys(names).filter((kind) => here.some((one) => `${one.labels}` === kind));
    const layers = distinct(here, "layer");
    const series = kinds.map((kind) => layers.map((layer) => here.find((one) =>
      `${one.labels}` === kind && one.layer === layer)?.score));
    below.replaceChildren(
      chart(series, layers, layers, "layer"),
      table("Each layer alone, %", ["", ...layers.map((layer) => `layer ${layer}`)],
            kinds.map((kind, i) => [node("span", {}, swatch(i), names[kind]),
                                    ...series[i].map((score) => percent(score))])));
  }

  const body = sources.map((source) => [source, ...targets.map((target) => {
    const gain = gains.find((one) => one.source === source && one.target === target);
    if (!gain) return "own";
    const button = node("button", {type: "button", "aria-pressed": false, style:
      `--strength: ${Math.round(60 * Math.abs(gain.difference) / strongest)}%`},
                        points(gain.difference));
    button.setAttribute("aria-label", `${source} to ${target}: ${points(gain.difference)} points`);
    button.addEventListener("click", () => choose(button, gain));
    cells.push(button);
    return button;
  })]);
  place.replaceChildren(
    node("p", {}, "Which source would you take for which target? Guess, then choose a cell."),
    table("Points over random weights; sources down, targets across", ["", ...targets], body),
    said, below);
  cells[0].click();
}

function curves(place, data) {
  const rows = records(data.fractions);
  const rates = (mode) => distinct(rows.filter((row) => row.mode === mode), "learning_rate");
  const arm = (row) => [row.mode, row.input,
    rates(row.mode).length > 1 ? `rate ${row.learning_rate}` : "",
    row.mode === "scratch" ? "" : [row.source, row.source_labels === "shuffled" ? "shuffled" : ""]
      .filter(Boolean).join(" ")].filter(Boolean).join(", ");
  const [target, targets] = choice("target", distinct(rows, "target"));
  const [network, networks] = choice("network", distinct(rows, "network"));
  const slider = node("input", {type: "range", min: 0, step: 1, "aria-label": "share of clips"});
  const said = node("output", {"aria-live": "polite"});
  const below = node("div");

  function draw() {
    const here = rows.filter((row) => row.target === target.value && row.network === network.value);
    const shares = distinct(here, "fraction").sort((a, b) => a - b);
    below.replaceChildren();
    slider.hidden = !shares.length;
    if (!shares.length) { said.textContent = "Not run."; return; }
    slider.max = shares.length - 1;
    const share = shares[slider.value] ?? shares.at(-1);
    slider.setAttribute("aria-valuetext", `${100 * share} % of the clips`);
    const arms = [...new Set(here.map(arm))];
    // Runs of one budget: of several, the one that covers most shares, then the longest.
    const cells = arms.map((name) => {
      const own = here.filter((row) => arm(row) === name);
      const cover = (steps) => distinct(own.filter((row) => row.steps === steps), "fraction").length;
      const budgets = distinct(own, "steps").sort((a, b) => cover(b) - cover(a) || b - a);
      return shares.map((fraction) => {
        const runs = own.filter((row) => row.fraction === fraction);
        const budget = budgets.find((steps) => runs.some((row) => row.steps === steps));
        return runs.filter((row) => row.steps === budget);
      });
    });
    const series = cells.map((line) => line.map((runs) => runs.length
      ? mean(runs.map((row) => row.score)) : null));
    const at = shares.indexOf(share);
    const order = arms.map((_, i) => i).filter((i) => series[i][at] != null)
      .sort((a, b) => series[b][at] - series[a][at]);
    said.textContent = `${+(100 * share).toFixed(1)} % of the clips: ${arms[order[0]]} leads with `
      + `${percent(series[order[0]][at])} %`;
    const widest = (runs) => `${percent(Math.min(...runs.map((row) => row.ci_low)))} to `
      + percent(Math.max(...runs.map((row) => row.ci_high)));
    below.append(
      chart(series, shares.map(Math.log), shares.map((one) => +(100 * one).toFixed(1)),
            "% of the target's training clips, logarithmic"),
      table("At this share, best first; intervals are the widest over the seeds",
            ["arm", "score, %", "interval", "seeds"],
            order.map((i) => [node("span", {}, swatch(i), arms[i]), percent(series[i][at]),
                              widest(cells[i][at]), cells[i][at].length])));
  }

  place.replaceChildren(
    node("p", {}, "How many clips until the arms meet? Guess, then slide."),
    node("fieldset", {}, targets, networks, node("label", {}, "share of clips", slider)),
    said, below);
  place.addEventListener("input", draw);
  slider.max = 99;
  slider.value = 99;
  draw();
}

function sounds(place, clips) {
  const kinds = ["as recorded", ...[128, 40, 13, 5].map((k) => `back from ${k} MFCC`),
                 "noise 10 dB", "noise 0 dB", "telephone"];
  const folder = place.querySelector("audio").getAttribute("src").replace(/[^/]*$/, "");
  const pictures = [...place.querySelectorAll("img")];
  const [clip, choose] = choice("clip", clips.map((_, i) => i),
                                (i) => `${clips[i].title} (${clips[i].corpus})`);
  const radios = kinds.map((kind, i) => node("input",
    {type: "radio", name: "version", value: i, ...(i ? {} : {checked: ""})}));
  const player = node("audio", {controls: "", preload: "auto"});
  const picture = node("div");

  function load(play) {
    const i = radios.findIndex((radio) => radio.checked);
    player.src = `${folder}${clips[clip.value].name}_${i}.mp3`;
    player.setAttribute("aria-label", `${clips[clip.value].title}, ${kinds[i]}`);
    picture.replaceChildren(pictures[clip.value]);
    if (play) player.play().catch(() => {});
  }

  place.replaceChildren(
    node("fieldset", {}, choose),
    node("fieldset", {}, node("legend", {}, "Version; choosing one plays it"),
         ...radios.map((radio, i) => node("label", {}, radio, kinds[i]))),
    player, picture);
  place.addEventListener("change", () => load(true));
  load(false);
}

function atlas(place, data) {
  const rows = records(data.atlas);
  const readings = {all: "all layers", last: "last layer", smallest: "smallest subset near all",
                    weighted: "weighted sum of layers", label_free: "picked without labels",
                    mfcc_added: "all layers and MFCC", all_own: "all layers, own width",
                    last_own: "last layer, own width"};
  const known = Object.keys(readings).filter((name) => name in rows[0]);
  const [target, targets] = choice("target", distinct(rows, "target"));
  const [reading, readingsChoice] = choice("read", known, (name) => readings[name]);
  const [order, orders] = choice("sorted by", ["score", "params"],
                                 (name) => ({score: "score", params: "size"}[name]));
  const said = node("output", {"aria-live": "polite"});
  const below = node("div");

  function draw() {
    const name = reading.value;
    const here = rows.filter((row) => row.target === target.value && row[name] != null)
      .sort((a, b) => order.value === "params" ? a.params - b.params : b[name] - a[name]);
    const best = here.reduce((a, b) => (b[name] > a[name] ? b : a), here[0]);
    said.textContent = best ? `${best.network} leads with ${percent(best[name])} %` : "Not scored.";
    below.replaceChildren(table(
      readings[name], ["network", "score, %", "interval", "heard", "million weights", "taps"],
      here.map((row) => [
        row.network, percent(row[name]),
        row[`${name}_low`] == null ? "" : `${percent(row[`${name}_low`])} to `
          + percent(row[`${name}_high`]),
        row.domain, (row.params / 1e6).toFixed(1),
        name === "smallest" ? `${row.smallest_size} of ${row.taps}` : row.taps])));
  }

  place.replaceChildren(
    node("p", {}, "Which network would you fetch for which task? Guess, then look."),
    node("fieldset", {}, targets, readingsChoice, orders), said, below);
  place.addEventListener("change", draw);
  draw();
}

document.addEventListener("DOMContentLoaded", () => {
  for (const [kind, start] of Object.entries({matrix, curves, sounds, atlas})) {
    const [data, place] = [document.getElementById(`${kind}-data`),
                           document.querySelector(`.play.${kind}`)];
    if (!data || !place) continue;
    place.classList.add("live");
    start(place, JSON.parse(data.textContent));
  }
});
