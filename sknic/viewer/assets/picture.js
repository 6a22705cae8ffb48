// What is seen in a pane as a PNG: the slide, the layers at their opacity, the cell, and a line that says what it is.

const FOOT = 34;

export async function savePicture(pane) {
  const blob = await new Promise((done) => drawn(pane).toBlob(done, "image/png"));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = fileName(pane);
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// Such as "case 1 grad-cam 10x.png".
function fileName(pane) {
  const layers = [...pane.shown.keys()].map((id) => id.replace(/^grid\d+-/, ""));
  const parts = [pane.slide.name.replace(/\.[^.]*$/, ""), ...layers, `${(10 / pane.view.scale).toPrecision(2)}x`];
  return `${parts.join(" ").replace(/[\\/:*?"<>|]/g, "-")}.png`;
}

function drawn(pane) {
  const source = pane.element.querySelector(".openseadragon-canvas canvas");
  const box = source.getBoundingClientRect();
  const zoom = source.width / box.width; // px of the picture per px of the page
  const picture = document.createElement("canvas");
  [picture.width, picture.height] = [source.width, source.height + Math.round(FOOT * zoom)];
  const context = picture.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, picture.width, picture.height);
  context.drawImage(source, 0, 0);
  context.save();
  context.beginPath();
  context.rect(0, 0, source.width, source.height);
  context.clip();
  context.imageSmoothingEnabled = false;
  for (const { element } of stacked(pane)) {
    context.globalAlpha = Number(element.style.opacity);
    context.drawImage(element, ...place(element, box, zoom));
  }
  context.globalAlpha = 1;
  if (pane.marker) outline(context, place(pane.marker, box, zoom), zoom);
  context.restore();
  caption(context, pane, source, zoom);
  return picture;
}

function stacked(pane) {
  const order = (entry) => Number(entry.element.style.zIndex);
  return [...pane.shown.values()].filter(({ element }) => element.complete && element.naturalWidth).sort((a, b) => order(a) - order(b));
}

function place(element, box, zoom) {
  const { left, top, width, height } = element.getBoundingClientRect();
  return [(left - box.left) * zoom, (top - box.top) * zoom, width * zoom, height * zoom];
}

function outline(context, rectangle, zoom) {
  for (const [color, width] of [["#111", 5], ["#fff", 2]]) {
    context.strokeStyle = color;
    context.lineWidth = width * zoom;
    context.strokeRect(...rectangle);
  }
}

function caption(context, pane, source, zoom) {
  const middle = source.height + (FOOT * zoom) / 2;
  const margin = 12 * zoom;
  const { um, text } = pane.bar;
  const length = (um / pane.view.scale) * zoom;
  Object.assign(context, { fillStyle: "#18222d", font: `${13 * zoom}px sans-serif`, textBaseline: "middle" });
  context.textAlign = "right";
  context.fillText(text, source.width - margin - length - 6 * zoom, middle);
  context.fillRect(source.width - margin - length, middle - 2 * zoom, length, 4 * zoom);
  const titles = pane.slide.layers.filter((layer) => pane.shown.has(layer.id)).map((layer) => layer.title);
  const said = [pane.slide.name, ...titles, pane.magnification].join(" · ");
  context.textAlign = "left";
  context.fillText(said, margin, middle, source.width - 3 * margin - length - context.measureText(text).width);
}
