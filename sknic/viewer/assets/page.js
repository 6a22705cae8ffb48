// The page: its panes and controls.

import { forgetCell, showCell, showNeighbors } from "./cell.js";
import { $, getJSON, problem } from "./dom.js";
import { drawLayers, listLayers } from "./layers.js";
import { listClasses, showFacts } from "./model.js";
import { Pane } from "./pane.js";
import { recall, remember, state } from "./state.js";

const panes = [];
let slides = [];
let model = null;
let leader = null;
let before = null; // where both panes stood when they last moved together

const leading = () => (panes.includes(leader) ? leader : panes[0]);
const redraw = () => drawLayers(panes).then(() => showCell(leading()));

const events = {
  lead: (pane) => {
    leader = pane;
    before = pane.view;
  },
  opened: (pane) => {
    pane.mark(state.cells[panes.indexOf(pane)], true);
    redraw();
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

// Go to a cell of any slide; Back returns.
function visit({ slide, grid, row, column }) {
  remember();
  const pane = panes.find((one) => one.number === slide && one.grid === grid);
  const cell = { row, column };
  if (pane) {
    state.cells[panes.indexOf(pane)] = cell;
    leader = pane;
    pane.mark(cell, true);
  } else {
    Object.assign(state, { slide, grid });
    state.cells[0] = cell;
    $("slide").value = slide;
    openPanes();
  }
  showCell(leading());
  leading().element.scrollIntoView({ block: "nearest" }); // on a phone the slides may be out of sight
  remember(true);
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
  listLayers(panes, redraw);
  listGrids();
  showCell(panes[0]);
  showFacts(panes, model);
}

// Controls as the state says.
function setControls() {
  [$("slide").value, $("beside").value] = [state.slide, state.beside ?? ""];
  [$("feature").value, $("class").value] = [state.feature, state.label ?? ""];
}

function listen() {
  $("slide").onchange = $("beside").onchange = () => {
    state.slide = Number($("slide").value);
    state.beside = $("beside").value === "" ? null : Number($("beside").value);
    [state.grid, state.cells] = [0, [null, null]];
    forgetCell();
    openPanes();
    remember();
  };
  $("grid").onchange = () => {
    state.grid = Number($("grid").value);
    state.cells = [null, null];
    openPanes();
    remember();
  };
  $("class").onchange = () => {
    state.label = $("class").value === "" ? null : Number($("class").value);
    redraw();
    remember();
  };
  $("feature").onchange = () => {
    state.feature = Math.min(Math.max(0, Math.floor($("feature").valueAsNumber || 0)), Number($("feature").max));
    $("feature").value = state.feature;
    redraw();
    remember();
  };
  $("go").onsubmit = (event) => {
    event.preventDefault();
    const pane = leading();
    const cell = { row: $("row").valueAsNumber, column: $("column").valueAsNumber };
    const grid = pane.slide.grids[pane.grid];
    if (cell.row < grid.rows && cell.column < grid.columns) pick(pane, cell, true);
    else problem(`The grid has ${grid.rows} rows and ${grid.columns} columns.`);
  };
  $("similar").onclick = () => showNeighbors(leading(), visit);
  $("copy").onclick = async () => {
    // Browsers lend the clipboard to no plain-http page of another machine.
    const copied = await navigator.clipboard?.writeText(location.href).then(() => true, () => false);
    problem(copied ? "Link copied." : "Copy the link from the address bar: it leads to this cell.");
  };
  window.addEventListener("hashchange", () => {
    recall(slides);
    setControls();
    openPanes();
  });
}

async function start() {
  slides = await getJSON("slides");
  for (const id of ["slide", "beside"]) $(id).append(...slides.map((slide, index) => new Option(slide.name, index)));
  $("beside-field").hidden = $("others-field").hidden = slides.length < 2;
  recall(slides);
  listen();
  openPanes();
  setControls();
  model = await listClasses(slides).catch((error) => problem(`The model cannot be read: ${error.message}`));
  showFacts(panes, model);
}

start().catch((error) => problem(`The viewer could not start: ${error.message}`));
