// The cell that was picked: what is known of it, its embedding, and the cells that are like it.

import { $, factList, getJSON, make, problem } from "./dom.js";
import { state } from "./state.js";

export async function showCell(pane) {
  const { cell, slide } = pane;
  if (!cell) return;
  [$("row").value, $("column").value] = [cell.row, cell.column];
  const found = await pane.fetchCell(cell).catch((error) => problem(error.message));
  if (!found || pane.cell !== cell) return;
  const facts = { Slide: slide.name, Position: `${found.x.toFixed(3)}, ${found.y.toFixed(3)} mm` };
  Object.assign(facts, { Tissue: found.tissue ? "yes" : "no" }, found.values);
  const title = make("h2", "", null, { textContent: `Row ${cell.row}, column ${cell.column}` });
  $("cell").replaceChildren(title, factList(facts));
  $("copy").hidden = false;
  $("search").hidden = !found.tissue;
  drawEmbedding(found.embedding);
}

export function forgetCell() {
  $("cell").replaceChildren();
  $("embedding").hidden = $("copy").hidden = $("search").hidden = true;
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

const at = (cell) => `slides/${cell.slide}/grids/${cell.grid}/cells/${cell.row}/${cell.column}`;

// The list stays while one goes from neighbor to neighbor; `visit` is called with the one that was chosen.
export async function showNeighbors(pane, visit) {
  const asked = { slide: pane.number, grid: pane.grid, ...pane.cell, name: pane.slide.name, distance: 0 };
  problem("Searching …");
  const where = $("others").checked ? "&others" : "";
  const found = await getJSON(`${at(asked)}/neighbors?n=11${where}`).catch((error) => problem(error.message));
  if (!found) return;
  problem("");
  const list = make("ul", "thumbs");
  for (const cell of [asked, ...found]) {
    const button = make("button", "", make("li", "", list), { type: "button" });
    button.title = `row ${cell.row}, column ${cell.column} of ${cell.name}`;
    make("img", "", button, { src: `${at(cell)}/patch`, alt: button.title, width: 72, height: 72 });
    make("span", "", button, { textContent: cell.name.replace(/\.[^.]*$/, "") });
    make("span", "", button, { textContent: cell === asked ? "this cell" : cell.distance.toPrecision(3) });
    button.onclick = () => {
      list.querySelector("[aria-current]")?.removeAttribute("aria-current");
      button.setAttribute("aria-current", "true");
      visit(cell);
    };
  }
  list.querySelector("button").setAttribute("aria-current", "true");
  const title = make("h2", "", null, { textContent: `Cells like row ${asked.row}, column ${asked.column}` });
  const hint = make("p", "hint", null, { textContent: "Slide, and distance of the embeddings. A click goes there." });
  $("neighbors").replaceChildren(title, hint, list);
  if (!found.length) problem("There are no other cells of this encoder.");
}
