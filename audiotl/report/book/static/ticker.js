// Tick layers: the score of every subset, from the data that the page carries. No library.
"use strict";

function percent(share) {
  return (100 * share).toFixed(1);
}

function node(tag, attributes = {}, ...inside) {
  const svg = ["svg", "line", "circle", "polyline", "text", "title"].includes(tag);
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...inside);
  return made;
}

function ticker(place, data) {
  const keys = ["source", "target", "pooling", "probe", "protocol"];
  const names = {protocol: "choices made", nested: "on other folds",
                 paper: "on the same folds (2017)", svm: "SVM", mean: "mean over time",
                 "mean+std": "mean and deviation over time", ...data.names};
  const shown = (name) => names[name] || name.replaceAll("_", " ");
  const cases = data.cases.filter((one) => one[0] !== "mfcc");
  const layers = Math.max(...Object.keys(cases[0][5]).map((subset) => subset.length));
  const find = (...key) => data.cases.find((one) => key.every((part, i) => one[i] === part));

  const selects = keys.map((key, i) => node("select", {name: key},
    ...[...new Set(cases.map((one) => one[i]))].map((value) => node("option", {value},
                                                                   shown(value)))));
  const boxes = Array.from({length: layers}, (_, i) => node("input",
    {type: "checkbox", value: i, ...(i === layers - 1 ? {checked: ""} : {})}));
  const mfcc = node("input", {type: "checkbox", value: "mfcc"});
  const said = node("output", {"aria-live": "polite"});
  const rows = node("tbody");
  place.replaceChildren(
    node("p", {}, "Which layers would you take? Guess before you tick."),
    node("fieldset", {}, ...selects.map((select, i) => node("label", {}, shown(keys[i]), select))),
    node("fieldset", {}, node("legend", {}, "Layers, from the sound up"),
         ...boxes.map((box, i) => node("label", {}, box, `layer ${i + 1}`)),
         node("label", {}, mfcc, "MFCC")),
    said,
    node("table", {}, node("thead", {}, node("tr", {}, ...["taken", "score, %", "95 % interval"]
      .map((head) => node("th", {scope: "col"}, head)))), rows));
  place.classList.add("live");

  function bar(score, low, high, others, span) {
    const x = (share) => `${(100 * (share - span[0])) / (span[1] - span[0])}%`;
    const svg = node("svg", {"aria-hidden": "true"});
    for (const one of others) {
      svg.append(node("line", {class: "band", x1: x(one), x2: x(one), y1: "15%", y2: "85%"}));
    }
    if (low !== undefined) {
      svg.append(node("line", {class: "range", x1: x(low), x2: x(high), y1: "50%", y2: "50%"}));
    }
    svg.append(node("circle", {class: "dot", cx: x(score), cy: "50%", r: 5}));
    return svg;
  }

  function row(name, values, kind, others, span) {
    const [score, low, high] = values;
    const range = low === undefined ? "" : `${percent(low)} to ${percent(high)}`;
    const cell = node("td", {class: "bar"}, bar(score, low, high, others, span), range);
    return node("tr", {class: kind}, node("th", {scope: "row"}, name),
                node("td", {}, percent(score)), cell);
  }

  function draw() {
    const key = selects.map((select) => select.value);
    const [source, target, pooling, probe, protocol] = key;
    const here = find(...key);
    rows.replaceChildren();
    if (!here) {
      said.textContent = "Not scored: the network learnt from that corpus, or the probe was only "
        + "asked of means.";
      return;
    }
    const scores = here[5];
    const picked = boxes.filter((box) => box.checked).map((box) => box.value).join("");
    const outside = find("mfcc", target, "own", probe, protocol)?.[5].mfcc;
    const everything = boxes.map((box) => box.value).join("");
    const inside = scores[picked + (mfcc.checked ? "+mfcc" : "")];
    const chosen = mfcc.checked && picked === "" ? outside : inside;
    const all = scores[everything];
    const random = find("random", target, pooling, probe, protocol)?.[5][everything];
    const ranked = Object.values(scores).map((one) => one[0]).sort((a, b) => b - a);
    const nested = data.best.find((one) => [source, target, pooling, probe]
      .every((part, i) => part === one[i]));
    const best = protocol === "nested" ? nested && [nested[4]] : [ranked[0]];
    const rank = chosen && 1 + ranked.filter((one) => one > chosen[0]).length;
    const named = [...boxes.filter((box) => box.checked).map((box) => +box.value + 1),
                   ...(mfcc.checked ? ["MFCC"] : [])];
    const label = (picked ? (picked.length > 1 ? "layers " : "layer ") : "") + named.join(" + ");
    if (!label) said.textContent = "Tick at least one layer, or MFCC.";
    else if (!chosen) said.textContent = "MFCC beside layers: see the chapter on MFCC.";
    else {
      const place = chosen === outside ? "" : `, rank ${rank} of ${ranked.length}`;
      said.textContent = `${label}: ${percent(chosen[0])} % (${percent(chosen[1])} to `
        + `${percent(chosen[2])})${place}`;
    }
    const found = protocol === "nested" ? "best, picked on other folds" : "best, read off";
    const beside = [["your choice", chosen, "chosen"], ["last layer", scores[layers - 1], ""],
                    ["all layers", all, ""], ["all, random weights", random, ""],
                    ["MFCC alone", outside, ""], [found, best, ""]];
    const known = beside.filter((one) => one[1]);
    const reach = [...ranked, ...known.flatMap((one) => one[1])];
    const span = [Math.min(...reach) - 0.01, Math.max(...reach) + 0.01];
    rows.append(...known.map(([name, values, kind]) =>
      row(name, values, kind, kind ? ranked : [], span)));
  }

  place.addEventListener("change", draw);
  draw();
}

document.addEventListener("DOMContentLoaded", () => {
  const data = document.getElementById("ticker-data");
  const place = document.querySelector(".ticker");
  if (data && place) ticker(place, JSON.parse(data.textContent));
});
