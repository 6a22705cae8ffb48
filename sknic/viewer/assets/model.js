// What is known of the slides, and what the model says of them.

import { $, factList, getJSON, make, problem } from "./dom.js";
import { state } from "./state.js";

export async function listClasses(slides) {
  if (!slides.some((slide) => slide.layers.some((layer) => layer.classes))) return null;
  const model = await getJSON("model");
  const options = model.choices.map((name, index) => new Option(name, index, false, index === state.label));
  if (state.label !== null && !(state.label < model.choices.length)) state.label = null;
  if (model.choice === "Class") options.unshift(new Option("as predicted", ""));
  $("class").replaceChildren(...options);
  document.querySelector("label[for=class]").textContent = model.choice;
  $("class-field").hidden = !model.choices.length;
  return model;
}

// Truth beside prediction, for each slide that is open.
export async function showFacts(panes, model) {
  const lists = await Promise.all(panes.map((pane) => facts(pane, model)));
  $("facts").replaceChildren(...lists.filter(Boolean));
}

async function facts(pane, model) {
  const known = Object.entries(pane.slide.truth).map(([name, text]) => [`True ${name}`, text]);
  const said = model && pane.slide.grids.length ? await predicted(pane) : {};
  const all = { ...Object.fromEntries(known), ...said };
  if (!Object.keys(all).length) return null;
  const section = make("section");
  make("h2", "", section, { textContent: pane.slide.name });
  section.append(factList(all));
  return section;
}

async function predicted(pane) {
  pane.predictions ??= new Map();
  if (!pane.predictions.has(pane.grid)) {
    const asked = getJSON(`slides/${pane.number}/grids/${pane.grid}/prediction`);
    pane.predictions.set(pane.grid, asked.catch((error) => (problem(`Prediction: ${error.message}`), {})));
  }
  const found = await pane.predictions.get(pane.grid);
  return Object.fromEntries(Object.entries(found).map(([name, text]) => [`${name[0].toUpperCase()}${name.slice(1)}`, text]));
}
