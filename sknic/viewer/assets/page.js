// The page: its controls, and the address that remembers them.

import { Pane, getJSON } from "./pane.js";

const $ = (id) => document.getElementById(id);
const state = { slide: 0, beside: null, grid: 0, layers: new Set(), feature: 0, opacity: 60, cells: [null, null] };
const panes = [];
let slides = [];
let leader = null;
let before = null; // where both panes stood when they last moved together

const events = {
  feature: () => state.feature,
  problem: (text) => ($("status").textContent = text),
  lead: (pane) => {
    leader = pane;
    before = pane.view;
  },
  opened: (pane) => {
    pane.mark(state.cells[panes.indexOf(pane)], true);
    drawLayers().then(refreshCell);
    if (panes.length > 1 && panes.every((one) => one.viewer.isOpen())) align();
  },
  moved: (pane) => {
    if (pane !== leader || panes.length < 2 || !panes.every((one) => one.viewer.isOpen())) return;
    const now = pane.view;
    if (before && $("together").checked) follow(panes.find((one) => one !== pane), now);
    before = now;
  },
  picked: (pane, cell) => pick(pane, cell, false),
};

// The other pane moves by the same um and zooms by the same factor.
function follow(other, now) {
  const { x, y, scale } = other.view;
  other.view = { x: x + now.x - before.x, y: y + now.y - before.y, scale: (scale * now.scale) / before.scale };
}

// The second pane starts at the magnification of the first.
function align() {
  if (state.cells[1]) return;
  panes[1].view = { ...panes[1].view, scale: panes[0].view.scale };
}

function pick(pane, cell, move) {
  leader = pane;
  state.cells[panes.indexOf(pane)] = cell;
  pane.mark(cell, move);
  showCell(pane);
  remember();
}

async function showCell(pane) {
  const { cell, slide } = pane;
  if (!cell) return;
  [$("row").value, $("column").value] = [cell.row, cell.column];
  const found = await pane.fetchCell(cell).catch((error) => events.problem(error.message));
  if (!found || pane.cell !== cell) return;
  const facts = { Slide: slide.name, Position: `${found.x.toFixed(3)}, ${found.y.toFixed(3)} mm` };
  Object.assign(facts, { Tissue: found.tissue ? "yes" : "no" }, found.values);
  const list = document.createElement("dl");
  for (const [name, value] of Object.entries(facts)) {
    const row = list.appendChild(document.createElement("div"));
    row.appendChild(document.createElement("dt")).textContent = name;
    row.appendChild(document.createElement("dd")).textContent = value;
  }
  const title = Object.assign(document.createElement("h2"), { textContent: `Row ${cell.row}, column ${cell.column}` });
  $("cell").replaceChildren(title, list);
  $("copy").hidden = false;
  drawEmbedding(found.embedding);
}

// Bars up for positive features and down for negative ones; the chosen feature stands out.
function drawEmbedding(values) {
  const canvas = $("embedding");
  canvas.hidden = !values.length;
  if (!values.length) return;
  const context = canvas.getContext("2d");
  const { width, height } = canvas;
  const limit = Math.max(...values.map(Math.abs)) || 1;
  context.clearRect(0, 0, width, height);
  values.forEach((value, index) => {
    context.fillStyle = index === state.feature ? "#c2410c" : "#33597a";
    const left = Math.floor((index * width) / values.length);
    const length = ((value / limit) * height) / 2;
    context.fillRect(left, height / 2 - Math.max(length, 0), Math.max(1, width / values.length - 1), Math.abs(length));
  });
  canvas.setAttribute("aria-label", `Embedding of the cell, ${values.length} numbers, largest ${limit.toPrecision(3)}`);
}

async function drawLayers() {
  const open = panes.filter((pane) => pane.viewer.isOpen());
  const drawing = Promise.all(open.map((pane) => pane.showLayers(state.layers, state.feature, state.opacity / 100)));
  // A model takes its time when it is first asked.
  const patience = setTimeout(() => events.problem("Drawing …"), 300);
  await drawing;
  clearTimeout(patience);
  if ($("status").textContent === "Drawing …") events.problem("");
  for (const place of document.querySelectorAll("[data-legends]")) {
    const legends = open.map((pane) => pane.shown.get(place.dataset.legends)?.legend).filter(Boolean);
    const different = new Map(legends.map((legend) => [`${legend.low} ${legend.high}`, legend]));
    place.replaceChildren(...[...different.values()].map(drawnLegend));
  }
}

function drawnLegend(legend) {
  const line = Object.assign(document.createElement("div"), { className: "legend" });
  const bar = Object.assign(document.createElement("span"), { className: "bar" });
  bar.style.background = `linear-gradient(to right, ${legend.colors.join(",")})`;
  line.append(legend.low, bar, legend.high);
  return line;
}

function layerItem(layer) {
  const label = Object.assign(document.createElement("label"), { className: "check" });
  const box = Object.assign(document.createElement("input"), { type: "checkbox", value: layer.id });
  box.checked = state.layers.has(layer.id);
  box.onchange = () => {
    state.layers[box.checked ? "add" : "delete"](layer.id);
    events.problem("");
    drawLayers().then(refreshCell);
    remember();
  };
  label.append(box, layer.title);
  const item = document.createElement("div");
  const legends = document.createElement("div");
  legends.dataset.legends = layer.id;
  item.append(label, legends);
  return item;
}

function listLayers() {
  const layers = [...new Map(panes.flatMap((pane) => pane.slide.layers).map((layer) => [layer.id, layer])).values()];
  const grids = panes.map((pane) => pane.slide.grids).reduce((a, b) => (b.length > a.length ? b : a));
  $("layers").replaceChildren();
  layers.forEach((layer, index) => {
    if (grids.length > 1 && layer.grid !== null && layer.grid !== layers[index - 1]?.grid) {
      $("layers").append(Object.assign(document.createElement("h3"), { textContent: grids[layer.grid].name }));
    }
    $("layers").append(layerItem(layer));
  });
  const most = Math.max(0, ...layers.map((layer) => layer.features));
  $("feature-field").hidden = !most;
  $("feature").max = most - 1;
}

function refreshCell() {
  const pane = panes.includes(leader) ? leader : panes[0];
  if (pane) showCell(pane);
}

function listGrids() {
  const names = panes[0].slide.grids.map((grid) => grid.name);
  $("cells").hidden = panes.every((pane) => !pane.slide.grids.length);
  $("grid-field").hidden = names.length < 2;
  $("grid").replaceChildren(...names.map((name, index) => new Option(name, index, false, index === state.grid)));
}

function openPanes() {
  panes.splice(0).forEach((pane) => pane.destroy());
  leader = before = null;
  for (const number of [state.slide, state.beside].filter((one) => one !== null)) {
    const pane = new Pane($("panes"), number, slides[number], events);
    pane.grid = Math.min(state.grid, Math.max(0, slides[number].grids.length - 1));
    pane.cell = state.cells[panes.length];
    panes.push(pane);
  }
  $("panes").classList.toggle("two", panes.length > 1);
  $("together-field").hidden = panes.length < 2;
  listLayers();
  listGrids();
  refreshCell();
}

// Everything that is seen, as the fragment of the address; the server never gets it.
function remember() {
  const parts = new URLSearchParams({ slide: state.slide });
  if (state.beside !== null) parts.set("beside", state.beside);
  if (state.grid) parts.set("grid", state.grid);
  if (state.layers.size) parts.set("layers", [...state.layers].join(","));
  if (state.feature) parts.set("feature", state.feature);
  parts.set("opacity", state.opacity);
  state.cells.forEach((cell, index) => cell && parts.set(index ? "cell2" : "cell", `${cell.row},${cell.column}`));
  history.replaceState(null, "", `#${parts.toString().replaceAll("%2C", ",")}`);
}

function recall() {
  const parts = new URLSearchParams(location.hash.slice(1));
  const count = (name, limit, otherwise) => {
    const value = /^\d+$/.test(parts.get(name) ?? "") ? Number(parts.get(name)) : NaN;
    return value < limit ? value : otherwise;
  };
  state.slide = count("slide", slides.length, 0);
  state.beside = count("beside", slides.length, null);
  state.grid = count("grid", Math.max(1, slides[state.slide].grids.length), 0);
  state.layers = new Set((parts.get("layers") ?? "").split(",").filter(Boolean));
  state.feature = count("feature", Infinity, 0);
  state.opacity = count("opacity", 101, 60);
  state.cells = ["cell", "cell2"].map((name) => {
    const found = /^(\d+),(\d+)$/.exec(parts.get(name) ?? "");
    return found && { row: Number(found[1]), column: Number(found[2]) };
  });
  [$("slide").value, $("beside").value] = [state.slide, state.beside ?? ""];
  [$("feature").value, $("opacity").value] = [state.feature, state.opacity];
}

function listen() {
  const reopen = () => {
    state.slide = Number($("slide").value);
    state.beside = $("beside").value === "" ? null : Number($("beside").value);
    [state.grid, state.cells] = [0, [null, null]];
    $("cell").replaceChildren();
    $("embedding").hidden = $("copy").hidden = true;
    openPanes();
    remember();
  };
  $("slide").onchange = $("beside").onchange = reopen;
  $("grid").onchange = () => {
    state.grid = Number($("grid").value);
    state.cells = [null, null];
    openPanes();
    remember();
  };
  $("feature").onchange = () => {
    state.feature = Math.min(Math.max(0, Math.floor($("feature").valueAsNumber || 0)), Number($("feature").max));
    $("feature").value = state.feature;
    drawLayers().then(refreshCell);
    remember();
  };
  $("opacity").oninput = () => {
    state.opacity = Number($("opacity").value);
    drawLayers();
    remember();
  };
  $("go").onsubmit = (event) => {
    event.preventDefault();
    const pane = panes.includes(leader) ? leader : panes[0];
    const cell = { row: $("row").valueAsNumber, column: $("column").valueAsNumber };
    const grid = pane.slide.grids[pane.grid];
    if (cell.row < grid.rows && cell.column < grid.columns) pick(pane, cell, true);
    else events.problem(`The grid has ${grid.rows} rows and ${grid.columns} columns.`);
  };
  $("copy").onclick = async () => {
    // Browsers lend the clipboard to no plain-http page of another machine.
    const copied = await navigator.clipboard?.writeText(location.href).then(() => true, () => false);
    events.problem(copied ? "Link copied." : "Copy the link from the address bar: it leads to this cell.");
  };
  window.addEventListener("hashchange", () => {
    recall();
    openPanes();
  });
}

async function start() {
  slides = await getJSON("slides");
  for (const id of ["slide", "beside"]) $(id).append(...slides.map((slide, index) => new Option(slide.name, index)));
  $("beside-field").hidden = slides.length < 2;
  recall();
  listen();
  openPanes();
}

start().catch((error) => events.problem(`The viewer could not start: ${error.message}`));
