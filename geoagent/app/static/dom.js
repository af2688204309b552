// Small helpers. What people and models wrote only ever becomes text, never markup.
const part = name => element.querySelector(`[data-part="${name}"]`);
const svgNode = (name, attributes = {}) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const key in attributes) node.setAttribute(key, attributes[key]);
  return node;
};
const make = (tag, content = "", className = "") => {
  const node = document.createElement(tag);
  node.textContent = content;
  if (className) node.className = className;
  return node;
};
const between = (low, value, high) => Math.min(Math.max(value, low), high);

// Moving and zooming what lies in `world` (an SVG group) inside `stage`; `paint` is called after every change.
function panZoom(stage, world, paint) {
  const view = {zoom: 1, left: 0, top: 0, width: 1, height: 1, dragged: false, late: false, busy: () => false};
  const show = () => {
    world.setAttribute("transform", `translate(${view.left} ${view.top}) scale(${view.zoom})`);
    paint(view);
  };
  view.show = show;
  view.fit = (box = [0, 0, view.width, view.height], margin = 1) => {
    const width = stage.clientWidth, height = stage.clientHeight;
    view.late = !width;  // hidden behind another tab: to be done when it is seen
    if (view.late) return;
    const across = Math.max(box[2] - box[0], 1e-9), down = Math.max(box[3] - box[1], 1e-9);
    view.zoom = Math.min(width / across, height / down) / margin;
    view.left = width / 2 - view.zoom * (box[0] + box[2]) / 2;
    view.top = height / 2 - view.zoom * (box[1] + box[3]) / 2;
    show();
  };
  const onStage = (x, y) => {  // inside its border
    const rect = stage.getBoundingClientRect();
    return [x - rect.left - stage.clientLeft, y - rect.top - stage.clientTop];
  };
  view.at = event => {
    const [x, y] = onStage(event.clientX, event.clientY);
    return [(x - view.left) / view.zoom, (y - view.top) / view.zoom];
  };
  view.zoomAt = (x, y, factor) => {
    const next = view.zoom * factor;
    view.left = x - (x - view.left) * factor;
    view.top = y - (y - view.top) * factor;
    view.zoom = next;
    show();
  };
  view.zoomBy = factor => view.zoomAt(stage.clientWidth / 2, stage.clientHeight / 2, factor);
  view.move = (dx, dy) => { view.left += dx; view.top += dy; show(); };
  stage.addEventListener("wheel", event => {
    event.preventDefault();
    view.zoomAt(...onStage(event.clientX, event.clientY), Math.exp(-event.deltaY * 0.0015));
  }, {passive: false});
  const fingers = new Map();
  stage.addEventListener("pointerdown", event => {
    if (event.target.closest("button, select, input")) return;
    view.dragged = false;
    if (!view.busy()) fingers.set(event.pointerId, [event.clientX, event.clientY]);
  });
  const lift = event => { fingers.delete(event.pointerId); stage.classList.remove("moving"); };
  window.addEventListener("pointerup", lift);
  window.addEventListener("pointercancel", lift);
  window.addEventListener("pointermove", event => {
    const last = fingers.get(event.pointerId);
    if (!last) return;
    const dx = event.clientX - last[0], dy = event.clientY - last[1];
    if (fingers.size === 2) {
      const other = [...fingers].find(([id]) => id !== event.pointerId)[1];
      const before = Math.hypot(last[0] - other[0], last[1] - other[1]);
      const after = Math.hypot(event.clientX - other[0], event.clientY - other[1]);
      if (before > 0) view.zoomAt(...onStage(...other), after / before);
    } else {
      if (Math.abs(dx) + Math.abs(dy) > 2) { view.dragged = true; stage.classList.add("moving"); }
      view.move(dx, dy);
    }
    fingers.set(event.pointerId, [event.clientX, event.clientY]);
  });
  return view;
}

// Arrow keys move, plus and minus zoom, 0 shows all; says whether the key was one of them.
function moveByKey(view, event, fit) {
  const step = {ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60]}[event.key];
  if (step) view.move(...step);
  else if (event.key === "+" || event.key === "=") view.zoomBy(1.4);
  else if (event.key === "-") view.zoomBy(1 / 1.4);
  else if (event.key === "0") fit();
  else return false;
  event.preventDefault();
  return true;
}

function niceLength(raw) {
  const power = Math.pow(10, Math.floor(Math.log10(raw)));
  return [5, 2, 1].find(n => n * power <= raw) * power;
}
function paintScale(badge, metresAPixel, unit) {
  const nice = niceLength(90 * metresAPixel);
  badge.textContent = unit === "m" && nice >= 1000 ? `${nice / 1000} km` : `${Number(nice.toPrecision(1))} ${unit}`;
  const bar = document.createElement("div");
  bar.style.width = `${nice / metresAPixel}px`;
  badge.append(bar);
}
