// A pane: one slide in OpenSeadragon, its layers, and the cell under the cursor.

const OSD = window.OpenSeadragon;

export async function getJSON(path) {
  const response = await fetch(path);
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.error || `the server answered ${response.status}`);
  return answer;
}

// Length of the scale bar: the roundest number of um that fits.
function roundLength(um) {
  const power = 10 ** Math.floor(Math.log10(um));
  return [5, 2, 1].find((digit) => digit * power <= um) * power;
}

function make(tag, className, parent, properties = {}) {
  const element = Object.assign(document.createElement(tag), { className, ...properties });
  parent.append(element);
  return element;
}

export class Pane {
  constructor(parent, number, slide, events) {
    this.number = number;
    this.slide = slide;
    this.events = events;
    this.grid = 0;
    this.cell = null;
    this.shown = new Map(); // layer id to {element, feature}
    this.element = make("section", "pane", parent);
    this.element.setAttribute("aria-label", slide.name);
    const canvas = make("div", "canvas", this.element);
    this.viewer = OSD({
      element: canvas,
      drawer: "canvas",
      tileSources: {
        ...slide.tiles,
        getTileUrl: (level, x, y) => `slides/${number}/tiles/${level}/${x}/${y}`,
      },
      showNavigationControl: false,
      maxZoomPixelRatio: 8,
      visibilityRatio: 0.2,
      animationTime: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 0.5,
      gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true },
      gestureSettingsPen: { clickToZoom: false },
    });
    this.addTools();
    this.readout = make("p", "readout", this.element, { hidden: true });
    this.scale = make("p", "scale", this.element);
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
    make("span", "name", tools, { textContent: this.slide.name });
  }

  listen(canvas) {
    const { viewer } = this;
    viewer.addHandler("open", () => this.events.opened(this));
    viewer.addHandler("tile-load-failed", () => this.events.problem("Some tiles of the slide cannot be read."));
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

  drawScale() {
    const { scale } = this.view;
    const um = roundLength(scale * 120);
    this.scale.style.width = `${um / scale}px`;
    this.scale.textContent = um >= 1000 ? `${um / 1000} mm` : `${um} µm`;
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
    const key = cell && `${this.grid}/${cell.row}/${cell.column}/${this.events.feature()}`;
    if (key === this.reading) return;
    this.reading = key;
    if (!cell) {
      this.readout.hidden = true;
      return;
    }
    const found = await this.fetchCell(cell).catch((error) => this.events.problem(error.message));
    if (!found || this.reading !== key) return;
    const values = Object.entries(found.values).map(([title, text]) => `${title} ${text}`);
    const kind = found.tissue ? "" : "background";
    this.readout.textContent = [`Cell ${cell.row}, ${cell.column}`, kind, ...values].filter(Boolean).join(" · ");
    this.readout.hidden = false;
  }

  fetchCell({ row, column }) {
    const feature = this.events.feature();
    return getJSON(`slides/${this.number}/grids/${this.grid}/cells/${row}/${column}?feature=${feature}`);
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

  // Make the layers over the slide those of `wanted`.
  async showLayers(wanted, feature, opacity) {
    const layers = this.slide.layers.filter((layer) => wanted.has(layer.id));
    for (const [id, entry] of this.shown) {
      const layer = layers.find((one) => one.id === id);
      if (!layer || entry.feature !== this.featureOf(layer, feature)) this.hide(id);
    }
    await Promise.all(layers.map((layer) => this.show(layer, this.featureOf(layer, feature))));
    for (const { element } of this.shown.values()) element.style.opacity = opacity;
  }

  featureOf(layer, feature) {
    return layer.features ? Math.min(feature, layer.features - 1) : 0;
  }

  async show(layer, feature) {
    if (this.shown.has(layer.id)) return;
    const element = Object.assign(document.createElement("img"), { className: "layer", alt: "" });
    const entry = { element, feature, legend: null };
    this.shown.set(layer.id, entry);
    try {
      const drawn = await getJSON(`slides/${this.number}/layers/${layer.id}?feature=${feature}`);
      if (this.shown.get(layer.id) !== entry) return; // was taken away meanwhile
      entry.legend = drawn.legend;
      element.src = drawn.image;
      element.dataset.layer = layer.id;
      element.style.zIndex = this.slide.layers.indexOf(layer);
      this.viewer.addOverlay({ element, location: this.rectangle(...drawn.place) });
    } catch (error) {
      if (this.shown.get(layer.id) === entry) this.shown.delete(layer.id);
      this.events.problem(`${layer.title}: ${error.message}`);
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
