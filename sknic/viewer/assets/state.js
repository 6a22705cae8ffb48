// What is seen, and the address that remembers it: a fragment, which the server never gets.

export const OPACITY = 60;
export const state = {
  slide: 0,
  beside: null,
  grid: 0,
  layers: new Map(), // id of each layer that is shown to its opacity in percent
  label: null, // number of the class that is explained; null is the predicted one
  feature: 0,
  cells: [null, null],
};

// What is asked of the server for a layer: the feature or the class that was chosen.
export function choice(layer) {
  const parts = new URLSearchParams();
  if (layer.features) parts.set("feature", Math.min(state.feature, layer.features - 1));
  if (layer.classes && state.label !== null) parts.set("class", state.label);
  return parts.toString();
}

function address() {
  const parts = new URLSearchParams({ slide: state.slide });
  if (state.beside !== null) parts.set("beside", state.beside);
  if (state.grid) parts.set("grid", state.grid);
  const layers = [...state.layers].map(([id, opacity]) => (opacity === OPACITY ? id : `${id}:${opacity}`));
  parts.set("layers", layers.join(","));
  if (state.label !== null) parts.set("class", state.label);
  if (state.feature) parts.set("feature", state.feature);
  state.cells.forEach((cell, index) => cell && parts.set(index ? "cell2" : "cell", `${cell.row},${cell.column}`));
  return `#${parts.toString().replaceAll("%2C", ",").replaceAll("%3A", ":")}`;
}

// With `step`, the browser's Back leads to what was seen before.
export function remember(step = false) {
  if (address() !== location.hash) history[step ? "pushState" : "replaceState"](null, "", address());
}

export function recall(slides) {
  const parts = new URLSearchParams(location.hash.slice(1));
  const count = (name, limit, otherwise) => {
    const value = /^\d+$/.test(parts.get(name) ?? "") ? Number(parts.get(name)) : NaN;
    return value < limit ? value : otherwise;
  };
  state.slide = count("slide", slides.length, 0);
  state.beside = count("beside", slides.length, null);
  state.grid = count("grid", Math.max(1, slides[state.slide].grids.length), 0);
  // Where a model was given, one came to see where it looked.
  const first = slides[state.slide].layers.find((layer) => layer.classes)?.id ?? "";
  const named = (parts.get("layers") ?? first).split(",").filter(Boolean);
  state.layers = new Map(named.map((name) => name.split(":")).map(([id, opacity]) => [id, percent(opacity)]));
  state.label = count("class", Infinity, null);
  state.feature = count("feature", Infinity, 0);
  state.cells = ["cell", "cell2"].map((name) => {
    const found = /^(\d+),(\d+)$/.exec(parts.get(name) ?? "");
    return found && { row: Number(found[1]), column: Number(found[2]) };
  });
}

function percent(text) {
  return /^\d+$/.test(text ?? "") && Number(text) <= 100 ? Number(text) : OPACITY;
}
