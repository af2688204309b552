// The image: outlines to hover and choose, and points, boxes and scribbles for the next question.
let answer = null, picture = null, chosen = null, tool = "move", pen = null;
let drawn = {points: [], boxes: [], scribbles: []};
const stage = part("stage"), outlines = new Map();
const view = panZoom(stage, part("world"), paintImage);
view.busy = () => tool !== "move";
window.geoagentDrawn = () => JSON.stringify(drawn);

function paintImage() {
  if (!answer) return;
  paintScale(part("scale"), (answer.gsd || 1) / view.zoom, answer.gsd ? "m" : "px");
  for (const mark of element.querySelectorAll("[data-steady]")) {
    mark.setAttribute("transform", `translate(${mark.dataset.x} ${mark.dataset.y}) scale(${1 / view.zoom})`);
  }
}

function drawOutlines() {
  part("outlines").replaceChildren();
  outlines.clear();
  for (const thing of answer.objects) {
    const colour = answer.targets[thing.target].colour;
    const path = svgNode("path", {d: thing.path, fill: colour, stroke: colour, class: thing.rejected ? "object rejected" : "object"});
    path.addEventListener("click", () => { if (!view.dragged && tool === "move") choose(thing, false); });
    path.addEventListener("mousemove", event => hover(event, thing));
    path.addEventListener("mouseleave", () => part("tip").hidden = true);
    part("outlines").append(path);
    outlines.set(String(thing.key), path);
  }
}

function hover(event, thing) {
  const tip = part("tip"), rect = stage.getBoundingClientRect();
  tip.textContent = `${answer.targets[thing.target].phrase}\n${thing.size}, score ${thing.score.toFixed(2)}${thing.rejected ? ", rejected" : ""}`;
  tip.hidden = false;
  tip.style.left = `${Math.min(event.clientX - rect.left + 14, rect.width - tip.offsetWidth - 8)}px`;
  tip.style.top = `${Math.min(event.clientY - rect.top + 14, rect.height - tip.offsetHeight - 8)}px`;
}

function choose(thing, go) {
  chosen = thing ? String(thing.key) : null;
  for (const [key, path] of outlines) path.classList.toggle("chosen", key === chosen);
  for (const row of element.querySelectorAll("tr[data-key]")) row.classList.toggle("chosen", row.dataset.key === chosen);
  const card = part("chosen");
  card.hidden = !thing;
  if (!thing) return;
  const dot = make("span", "", "ga-swatch");
  dot.style.background = answer.targets[thing.target].colour;
  const close = make("button", "✕");
  close.title = "Close";
  close.addEventListener("click", () => choose(null));
  card.replaceChildren(dot, make("span", `${answer.targets[thing.target].phrase} · ${thing.size} · ${thing.score.toFixed(2)}`, "ga-name"), decideButton(thing), close);
  if (go) { openTab("image"); view.fit(thing.box, 3); }
}

function decideButton(thing) {
  const button = make("button", thing.rejected ? "Accept" : "Reject", "ga-decide");
  button.type = "button";
  button.addEventListener("click", event => {
    event.stopPropagation();
    trigger("decide", {key: thing.key});
  });
  return button;
}

function drawLegend() {
  part("legend").replaceChildren(...answer.targets.map(target => {
    const item = make("span", "", "ga-item"), dot = make("span", "", "ga-swatch");
    dot.style.background = target.colour;
    item.append(dot, make("span", `${target.count > 1 ? `${target.count} × ` : ""}${target.phrase}`, "ga-name"), make("span", `${target.size} · ${target.score.toFixed(2)}`, "ga-soft"));
    return item;
  }), ...answer.absent.map(target => make("span", `not found: ${target.phrase} (${target.score.toFixed(2)})`, "ga-item ga-soft")));
}

// -------------------------------------------------------------------------------------------------- pointing

const HINTS = {
  point: "Click what is meant; it goes with the next question. With the keyboard: arrows, then Enter.",
  not: "Click what is not meant. With the keyboard: arrows, then Enter.",
  box: "Drag a box around it. With the keyboard: Enter at two corners.", scribble: "Draw over it.",
};
function setTool(name) {
  if (name === "clear") { clearDrawn(); name = "move"; }
  tool = name;
  pen = null;
  for (const button of element.querySelectorAll("[data-tool]")) button.setAttribute("aria-pressed", button.dataset.tool === tool);
  stage.classList.toggle("drawing", tool !== "move");
  part("hint").hidden = !HINTS[tool];
  part("hint").textContent = HINTS[tool] || "";
}
function clearDrawn() {
  drawn = {points: [], boxes: [], scribbles: []};
  drawMarks();
}
function marksOf(prompts, group, className) {
  group.replaceChildren();
  if (!prompts) return;
  for (const [x0, y0, x1, y1] of prompts.boxes) group.append(svgNode("rect", {x: x0, y: y0, width: x1 - x0, height: y1 - y0, class: className}));
  for (const line of prompts.scribbles) group.append(svgNode("polyline", {points: line.map(p => p.join(",")).join(" "), class: className}));
  for (const [x, y, positive] of prompts.points) {
    const mark = svgNode("g", {"data-steady": "", "data-x": x, "data-y": y, class: className});
    mark.append(svgNode("circle", {r: 8}), svgNode("path", {d: positive ? "M-4 0H4M0-4V4" : "M-4 0H4"}));
    group.append(mark);
  }
}
function drawMarks() {
  marksOf(drawn, part("drawn"), "mark");
  marksOf(answer && answer.prompts, part("asked"), "mark old");
  const some = drawn.points.length + drawn.boxes.length + drawn.scribbles.length;
  element.querySelector('[data-tool="clear"]').hidden = !some;
  paintImage();
}
const inside = ([x, y]) => [between(0, x, answer.width), between(0, y, answer.height)].map(v => Math.round(v * 10) / 10);
stage.addEventListener("pointerdown", event => {
  if (!answer || tool === "move" || event.target.closest("button")) return;
  event.preventDefault();
  stage.focus({preventScroll: true});
  const place = inside(view.at(event));
  if (tool === "point" || tool === "not") { drawn.points.push([...place, tool === "point"]); drawMarks(); return; }
  stage.setPointerCapture(event.pointerId);
  pen = {id: event.pointerId, from: place, line: [place]};
  if (tool === "scribble") drawn.scribbles.push(pen.line);
});
stage.addEventListener("pointermove", event => {
  if (answer) showPlace(event);
  if (!pen || event.pointerId !== pen.id) return;
  const place = inside(view.at(event));
  if (tool === "box") drawBox(place);
  else pen.line.push(place);
  drawMarks();
});
stage.addEventListener("pointerup", () => {
  if (pen && pen.box && (pen.box[2] - pen.box[0] < 1 || pen.box[3] - pen.box[1] < 1)) drawn.boxes.pop();
  if (pen && tool === "scribble" && pen.line.length < 2) drawn.scribbles.pop();
  pen = null;
  if (answer) drawMarks();
});

function lonLat(x, y) {
  const n = answer.grid.length - 1, u = x / answer.width * n, v = y / answer.height * n;
  const i = between(0, Math.floor(u), n - 1), j = between(0, Math.floor(v), n - 1), a = u - i, b = v - j, g = answer.grid;
  return [0, 1].map(k => (g[j][i][k] * (1 - a) + g[j][i + 1][k] * a) * (1 - b) + (g[j + 1][i][k] * (1 - a) + g[j + 1][i + 1][k] * a) * b);
}
const degrees = ([lon, lat]) => `${Math.abs(lat).toFixed(5)}° ${lat < 0 ? "S" : "N"}, ${Math.abs((lon + 540) % 360 - 180).toFixed(5)}° ${(lon + 540) % 360 < 180 ? "W" : "E"}`;
function showPlace(event) {
  const [x, y] = view.at(event), outside = !(x >= 0 && y >= 0 && x <= answer.width && y <= answer.height);
  part("place").hidden = outside;
  if (!outside) part("place").textContent = `${answer.grid ? `${degrees(lonLat(x, y))} · ` : ""}${Math.floor(x)}, ${Math.floor(y)} px`;
}

// Pointing without a mouse: at what lies under the cross in the middle of the stage.
function pointAtCross() {
  const place = inside([(stage.clientWidth / 2 - view.left) / view.zoom, (stage.clientHeight / 2 - view.top) / view.zoom]);
  if (tool === "point" || tool === "not") drawn.points.push([...place, tool === "point"]);
  else if (tool === "box" && !pen) pen = {from: place};
  else if (tool === "box") {
    drawBox(place);
    pen = null;
  }
  drawMarks();
}
function drawBox(place) {
  if (pen.box) drawn.boxes.pop();
  pen.box = [Math.min(pen.from[0], place[0]), Math.min(pen.from[1], place[1]), Math.max(pen.from[0], place[0]), Math.max(pen.from[1], place[1])];
  drawn.boxes.push(pen.box);
}

const KEYS = {v: "move", p: "point", n: "not", b: "box", s: "scribble", Delete: "clear"};
stage.addEventListener("keydown", event => {
  if (!answer || event.ctrlKey || event.metaKey || event.altKey) return;
  if (moveByKey(view, event, () => view.fit())) return;
  if (event.key === "Enter" && event.target === stage && tool !== "move") pointAtCross();
  else if (event.key === "Escape") { setTool("move"); choose(null); }
  else if (KEYS[event.key]) setTool(KEYS[event.key]);
  else return;
  event.preventDefault();
});
