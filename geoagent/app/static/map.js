// The map: the picture where it lies, in Web Mercator, with a graticule; tiles below it only where a server was named.
const R = 6378137;
const mercator = ([lon, lat]) => [R * lon * Math.PI / 180, -R * Math.log(Math.tan(Math.PI / 4 + between(-85, lat, 85) * Math.PI / 360))];
const unmercator = ([x, y]) => [x / R * 180 / Math.PI, (2 * Math.atan(Math.exp(-y / R)) - Math.PI / 2) * 180 / Math.PI];
let map = null;

function drawMap() {
  const pane = element.querySelector('[data-pane="map"]');
  if (!answer || !answer.grid) {
    map = null;
    pane.replaceChildren(make("p", answer ? "This image does not say where on Earth it lies, so there is no map of it. A GeoTIFF with a coordinate system has one." : "No image yet.", "ga-none"));
    return;
  }
  const shell = make("div", "", "ga-stage ga-map");
  shell.tabIndex = 0;
  shell.setAttribute("aria-label", "Map. Arrow keys move, plus and minus zoom, 0 shows the whole image.");
  const svg = svgNode("svg", {role: "img", "aria-label": "Map of the image and what was found"});
  const world = svgNode("g"), tiles = svgNode("g"), grid = svgNode("g", {class: "graticule"}), labels = svgNode("g", {class: "graticule"});
  const scale = make("div", "", "ga-badge ga-scale"), place = make("div", "", "ga-badge ga-place"), tools = make("div", "", "ga-tools");
  const corner = mercator(lonLat(0, 0)), right = mercator(lonLat(answer.width, 0)), down = mercator(lonLat(0, answer.height));
  const far = mercator(lonLat(answer.width, answer.height));
  const origin = [(corner[0] + far[0]) / 2, (corner[1] + far[1]) / 2];
  const matrix = [(right[0] - corner[0]) / answer.width, (right[1] - corner[1]) / answer.width, (down[0] - corner[0]) / answer.height, (down[1] - corner[1]) / answer.height, corner[0] - origin[0], corner[1] - origin[1]];
  const placed = svgNode("g", {transform: `matrix(${matrix.join(" ")})`});
  placed.append(svgNode("image", {href: picture.source, width: answer.width, height: answer.height, preserveAspectRatio: "none"}));
  for (const thing of answer.objects) {
    if (thing.rejected) continue;
    const colour = answer.targets[thing.target].colour, path = svgNode("path", {d: thing.path, class: "object", fill: colour, stroke: colour});
    path.append(svgNode("title"));
    path.firstChild.textContent = `${answer.targets[thing.target].phrase}: ${thing.size}, score ${thing.score.toFixed(2)}`;
    path.addEventListener("click", () => { if (!map.dragged) choose(thing, true); });
    placed.append(path);
  }
  world.append(tiles, placed);
  svg.append(grid, world, labels);
  const corners = [corner, right, far, down].map(p => [p[0] - origin[0], p[1] - origin[1]]);
  const box = [0, 1].map(k => Math.min(...corners.map(c => c[k]))).concat([0, 1].map(k => Math.max(...corners.map(c => c[k]))));
  for (const [sign, title, act] of [["+", "Zoom in", () => map.zoomBy(1.5)], ["−", "Zoom out", () => map.zoomBy(1 / 1.5)], ["⤢", "Whole image", () => map.fit(box, 1.35)]]) {
    const button = make("button", sign);
    button.type = "button"; button.title = title;
    button.addEventListener("click", act);
    tools.append(button);
  }
  shell.append(svg, tools, make("div", "N\n↑", "ga-badge ga-north"), scale, place);
  if (props.tiles) shell.append(make("div", `map: ${new URL(props.tiles.replace(/[{}]/g, "")).host}`, "ga-badge ga-from"));
  pane.replaceChildren(shell);
  const latitude = unmercator(origin)[1];
  map = panZoom(shell, world, view => {
    paintScale(scale, Math.cos(latitude * Math.PI / 180) / view.zoom, "m");
    graticule(grid, labels, view, shell, origin);
    if (props.tiles) paintTiles(tiles, view, shell, origin);
  });
  shell.addEventListener("pointermove", event => {
    const [x, y] = map.at(event);
    place.textContent = degrees(unmercator([x + origin[0], y + origin[1]]));
  });
  shell.addEventListener("keydown", event => {
    if (event.target === shell && !event.ctrlKey && !event.metaKey && !event.altKey) moveByKey(map, event, () => map.fit(box, 1.35));
  });
  map.fit(box, 1.35);
  map.refit = () => map.fit(box, 1.35);
}

function graticule(lines, labels, view, shell, origin) {
  const width = shell.clientWidth, height = shell.clientHeight, at = (x, y) => unmercator([(x - view.left) / view.zoom + origin[0], (y - view.top) / view.zoom + origin[1]]);
  const [west, north] = at(0, 0), [east, south] = at(width, height);
  const step = niceLength((east - west) / 3), digits = Math.max(0, Math.ceil(-Math.log10(step)));
  lines.replaceChildren(); labels.replaceChildren();
  if (!(step > 0) || east - west > 360) return;
  const label = (content, x, y, anchor = "middle") => {
    const text = svgNode("text", {x, y, "text-anchor": anchor});
    text.textContent = content;
    labels.append(text);
  };
  for (let lon = Math.ceil(west / step) * step; lon <= east; lon += step) {
    const x = (mercator([lon, 0])[0] - origin[0]) * view.zoom + view.left;
    lines.append(svgNode("line", {x1: x, x2: x, y1: 0, y2: height}));
    if (x > 60 && x < width - 90) label(`${Math.abs(lon).toFixed(digits)}° ${lon < 0 ? "W" : "E"}`, x, 16);
  }
  for (let lat = Math.ceil(south / step) * step; lat <= north; lat += step) {
    const y = (mercator([0, lat])[1] - origin[1]) * view.zoom + view.top;
    lines.append(svgNode("line", {x1: 0, x2: width, y1: y, y2: y}));
    label(`${Math.abs(lat).toFixed(digits)}° ${lat < 0 ? "S" : "N"}`, width - 8, y - 4, "end");
  }
}

function paintTiles(group, view, shell, origin) {
  const half = Math.PI * R, level = between(0, Math.round(Math.log2(view.zoom * 2 * half / 256)), 19), side = 2 * half / 2 ** level;
  const first = [(-view.left / view.zoom + origin[0] + half) / side, (-view.top / view.zoom + origin[1] + half) / side].map(Math.floor);
  const last = [first[0] + Math.ceil(shell.clientWidth / view.zoom / side), first[1] + Math.ceil(shell.clientHeight / view.zoom / side)];
  const wanted = new Map([...group.children].map(node => [node.getAttribute("href"), node]));
  const nodes = [];
  for (let x = first[0]; x <= last[0]; x++) for (let y = Math.max(0, first[1]); y <= Math.min(last[1], 2 ** level - 1); y++) {
    const href = props.tiles.replace("{z}", level).replace("{x}", ((x % 2 ** level) + 2 ** level) % 2 ** level).replace("{y}", y);
    nodes.push(wanted.get(href) || svgNode("image", {href, x: x * side - half - origin[0], y: y * side - half - origin[1], width: side, height: side}));
  }
  group.replaceChildren(...nodes);
}
