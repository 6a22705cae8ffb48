// A pane: one slide in OpenSeadragon, its layers, and the cell under the cursor.

import { getJSON, make, problem } from "./dom.js";
import { savePicture } from "./picture.js";
import { choice } from "./state.js";

const OSD = window.OpenSeadragon;

// Length of the scale bar: the roundest number of um that fits.
function roundLength(um) {
  const power = 10 ** Math.floor(Math.log10(um));
  return [5, 2, 1].find((digit) => digit * power <= um) * power;
}

export class Pane {
  constructor(parent, number, slide, events) {
    this.number = number;
    this.slide = slide;
    this.events = events;
    this.grid = 0;
    this.cell = null;
    this.shown = new Map(); // layer id to {element, chosen, legend}
    this.element = make("section", "pane", parent);
    this.element.setAttribute("aria-label", slide.name);
    const canvas = make("div", "canvas", this.element);
    const minimap = make("div", "minimap", this.element);
    minimap.setAttribute("aria-hidden", "true");
    const { width, height } = slide.tiles;
    minimap.style.setProperty("--wide", Math.min(1, width / height));
    minimap.style.setProperty("--high", Math.min(1, height / width));
    this.viewer = OSD({
      element: canvas,
      drawer: "canvas",
      tileSources: {
        ...slide.tiles,
        getTileUrl: (level, x, y) => `slides/${number}/tiles/${level}/${x}/${y}`,
      },
      showNavigationControl: false,
      showNavigator: true,
      navigatorElement: minimap,
      navigatorDrawer: "canvas",
      navigatorDisplayRegionColor: "#00568c",
      maxZoomPixelRatio: 8,
      visibilityRatio: 0.2,
      animationTime: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 0.5,
      gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true },
      gestureSettingsPen: { clickToZoom: false },
    });
    this.addTools();
    this.readout = make("p", "readout", this.element, { hidden: true });
    const measures = make("div", "measures", this.element);
    this.zoom = make("p", "zoom", measures);
    this.scale = make("p", "scale", measures);
    this.listen(canvas);
  }

  addTools() {
    const tools = make("div", "tools", this.element);
    const actions = { "+": ["Zoom in", 1.6], "−": ["Zoom out", 1 / 1.6], "⌂": ["Show the whole slide", null] };
    for (const [sign, [title, factor]] of Object.entries(actions)) {
      const button = make("button", "", tools, { type: "button", textContent: sign, title });
      button.setAttribute("aria-label", title);
      button.onclick = () => {
        this.events.lead(this);
        if (factor) this.viewport.zoomBy(factor).applyConstraints();
        else this.viewport.goHome();
      };
    }
    const save = make("button", "", tools, { type: "button", textContent: "⤓", title: "Save this view as PNG" });
    save.setAttribute("aria-label", save.title);
    save.onclick = () => savePicture(this).catch((error) => problem(`The picture could not be saved: ${error.message}`));
    make("span", "name", tools, { textContent: this.slide.name });
  }

  listen(canvas) {
    const { viewer } = this;
    viewer.addHandler("open", () => this.events.opened(this));
    viewer.addHandler("tile-load-failed", () => problem("Some tiles of the slide cannot be read."));
    viewer.addHandler("update-viewport", () => this.drawScale());
    viewer.addHandler("viewport-change", () => this.events.moved(this));
    viewer.addHandler("canvas-key", (event) => {
      // Turned and flipped slides would no longer fit their layers.
      event.preventDefaultAction = ["r", "R", "f"].includes(event.originalEvent.key);
    });
    viewer.addHandler("canvas-click", (event) => {
      const cell = event.quick && this.cellAt(event.position);
      if (cell) this.events.picked(this, cell);
    });
    for (const name of ["pointerdown", "wheel", "keydown"]) {
      canvas.addEventListener(name, () => this.events.lead(this), { capture: true, passive: true });
    }
    canvas.addEventListener("pointermove", (event) => this.point(event, canvas));
    canvas.addEventListener("pointerleave", () => this.read(null));
  }

  get viewport() {
    return this.viewer.viewport;
  }

  // Level-0 pixels of the slide to OpenSeadragon's rectangle.
  rectangle(x, y, width, height) {
    return this.viewport.imageToViewportRectangle(x, y, width, height);
  }

  // um per pixel of the screen, and the um at the centre.
  get view() {
    const centre = this.viewport.getCenter(true);
    const um = this.slide.tiles.width * this.slide.mpp;
    const wide = this.viewport.getBounds(true).width * um;
    return { x: centre.x * um, y: centre.y * um, scale: wide / this.viewport.getContainerSize().x };
  }

  set view({ x, y, scale }) {
    const um = this.slide.tiles.width * this.slide.mpp;
    const zoom = um / (scale * this.viewport.getContainerSize().x);
    this.viewport.zoomTo(zoom, null, true).panTo(new OSD.Point(x / um, y / um), true);
  }

  // The scale bar: its length in um, and what stands at it.
  get bar() {
    const um = roundLength(this.view.scale * 120);
    return { um, text: um >= 1000 ? `${um / 1000} mm` : `${um} µm` };
  }

  // By the convention that 10x is 1 um per pixel.
  get magnification() {
    const { scale } = this.view;
    return `≈ ${Number((10 / scale).toPrecision(2))}x, ${scale.toPrecision(2)} µm/px`;
  }

  drawScale() {
    const { um, text } = this.bar;
    this.scale.style.width = `${um / this.view.scale}px`;
    this.scale.textContent = text;
    this.zoom.textContent = this.magnification;
  }

  cellAt(position) {
    const grid = this.slide.grids[this.grid];
    if (!grid || !this.viewer.isOpen()) return null;
    const point = this.viewport.viewerElementToImageCoordinates(position);
    const row = Math.floor((point.y - grid.y) / grid.cell);
    const column = Math.floor((point.x - grid.x) / grid.cell);
    const inside = row >= 0 && column >= 0 && row < grid.rows && column < grid.columns;
    return inside ? { row, column } : null;
  }

  point(event, canvas) {
    const box = canvas.getBoundingClientRect();
    this.read(this.cellAt(new OSD.Point(event.clientX - box.left, event.clientY - box.top)));
  }

  // Show what is known of the cell under the cursor, once a cell.
  async read(cell) {
    const key = cell && `${this.grid}/${cell.row}/${cell.column}/${this.asked()}`;
    if (key === this.reading) return;
    this.reading = key;
    if (!cell) {
      this.readout.hidden = true;
      return;
    }
    const found = await this.fetchCell(cell).catch((error) => problem(error.message));
    if (!found || this.reading !== key) return;
    const values = Object.entries(found.values).map(([title, text]) => `${title} ${text}`);
    const kind = found.tissue ? "" : "background";
    this.readout.textContent = [`Cell ${cell.row}, ${cell.column}`, kind, ...values].filter(Boolean).join(" · ");
    this.readout.hidden = false;
  }

  // The feature and the class that a cell is asked about.
  asked() {
    return choice({ features: Infinity, classes: true });
  }

  fetchCell({ row, column }) {
    return getJSON(`slides/${this.number}/grids/${this.grid}/cells/${row}/${column}?${this.asked()}`);
  }

  // Outline a cell; with `move`, bring it into the middle.
  mark(cell, move) {
    this.cell = cell;
    this.marker?.remove();
    if (this.marker) this.viewer.removeOverlay(this.marker);
    this.marker = null;
    const grid = this.slide.grids[this.grid];
    if (!cell || !grid) return;
    const place = [grid.x + cell.column * grid.cell, grid.y + cell.row * grid.cell];
    this.marker = Object.assign(document.createElement("div"), { className: "marker" });
    this.viewer.addOverlay({ element: this.marker, location: this.rectangle(...place, grid.cell, grid.cell) });
    if (move) {
      const around = 6 * grid.cell;
      const size = grid.cell + 2 * around;
      this.viewport.fitBounds(this.rectangle(place[0] - around, place[1] - around, size, size));
    }
  }

  // Make the layers over the slide those of `wanted`, a map of id to opacity in percent.
  async showLayers(wanted) {
    const layers = this.slide.layers.filter((layer) => wanted.has(layer.id));
    for (const [id, entry] of this.shown) {
      const layer = layers.find((one) => one.id === id);
      if (!layer || entry.chosen !== choice(layer)) this.hide(id);
    }
    await Promise.all(layers.map((layer) => this.show(layer, choice(layer))));
    for (const [id, { element }] of this.shown) element.style.opacity = wanted.get(id) / 100;
  }

  async show(layer, chosen) {
    if (this.shown.has(layer.id)) return;
    const element = make("img", "layer", null, { alt: "" });
    const entry = { element, chosen, legend: null };
    this.shown.set(layer.id, entry);
    try {
      const drawn = await getJSON(`slides/${this.number}/layers/${layer.id}?${chosen}`);
      if (this.shown.get(layer.id) !== entry) return; // was taken away meanwhile
      entry.legend = drawn.legend;
      element.src = drawn.image;
      element.dataset.layer = layer.id;
      element.style.zIndex = this.slide.layers.indexOf(layer);
      this.viewer.addOverlay({ element, location: this.rectangle(...drawn.place) });
    } catch (error) {
      if (this.shown.get(layer.id) === entry) this.shown.delete(layer.id);
      problem(`${layer.title}: ${error.message}`);
    }
  }

  hide(id) {
    this.viewer.removeOverlay(this.shown.get(id).element);
    this.shown.delete(id);
  }

  destroy() {
    this.viewer.destroy();
    this.element.remove();
  }
}
