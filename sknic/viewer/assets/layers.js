// The list of layers: a box for each, its opacity, its legend, and what there is to choose.

import { $, make, problem } from "./dom.js";
import { OPACITY, remember, state } from "./state.js";

const WAITING = "Drawing …";

export async function drawLayers(panes) {
  const open = panes.filter((pane) => pane.viewer.isOpen());
  const drawing = Promise.all(open.map((pane) => pane.showLayers(state.layers)));
  // A model takes its time when it is first asked.
  const patience = setTimeout(() => problem(WAITING), 300);
  await drawing;
  clearTimeout(patience);
  if ($("status").textContent === WAITING) problem("");
  for (const place of document.querySelectorAll("[data-legends]")) {
    const legends = open.map((pane) => pane.shown.get(place.dataset.legends)?.legend).filter(Boolean);
    const different = new Map(legends.map((legend) => [`${legend.low} ${legend.high}`, legend]));
    place.replaceChildren(...[...different.values()].map(drawnLegend));
  }
}

function drawnLegend(legend) {
  const line = make("div", "legend");
  const bar = make("span", "bar");
  bar.style.background = `linear-gradient(to right, ${legend.colors.join(",")})`;
  line.append(legend.low, bar, legend.high);
  return line;
}

// `redraw` is called when a box was ticked or a slider moved.
export function listLayers(panes, redraw) {
  const layers = [...new Map(panes.flatMap((pane) => pane.slide.layers).map((layer) => [layer.id, layer])).values()];
  const grids = panes.map((pane) => pane.slide.grids).reduce((a, b) => (b.length > a.length ? b : a));
  $("layers").replaceChildren();
  layers.forEach((layer, index) => {
    if (grids.length > 1 && layer.grid !== null && layer.grid !== layers[index - 1]?.grid) {
      make("h3", "", $("layers"), { textContent: grids[layer.grid].name });
    }
    $("layers").append(layerItem(layer, redraw));
  });
  const most = Math.max(0, ...layers.map((layer) => layer.features));
  $("feature-field").hidden = !most;
  $("feature").max = most - 1;
}

function layerItem(layer, redraw) {
  const item = make("div");
  const label = make("label", "check", item);
  const box = make("input", "", label, { type: "checkbox", value: layer.id, checked: state.layers.has(layer.id) });
  label.append(layer.title);
  const opacity = make("input", "opacity", item, { type: "range", min: 0, max: 100, hidden: !box.checked });
  opacity.value = state.layers.get(layer.id) ?? OPACITY;
  opacity.title = "Opacity";
  opacity.setAttribute("aria-label", `Opacity of ${layer.title}`);
  make("div", "", item).dataset.legends = layer.id;
  const change = () => {
    opacity.hidden = !box.checked;
    if (box.checked) state.layers.set(layer.id, Number(opacity.value));
    else state.layers.delete(layer.id);
    problem("");
    redraw();
    remember();
  };
  box.onchange = opacity.oninput = change;
  return item;
}
