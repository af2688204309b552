// The table, and what holds the panes together.
let sorting = {by: "no", up: true};
const COLUMNS = [["no", "No.", t => t.no], ["phrase", "What", t => answer.targets[t.target].phrase], ["size", "Area", t => t.area === null ? t.pixels : t.area], ["score", "Score", t => t.score]];

function drawTable() {
  const pane = element.querySelector('[data-pane="table"]');
  if (!answer || !answer.objects.length) {
    pane.replaceChildren(make("p", "Nothing to list yet: ask something, and each object that is found gets a row.", "ga-none"));
    return;
  }
  const table = make("table", "", "ga-table"), head = table.createTHead().insertRow(), body = table.createTBody();
  for (const [by, title] of COLUMNS) {
    const cell = make("th"), button = make("button", title + (sorting.by === by ? (sorting.up ? " ↑" : " ↓") : ""));
    button.type = "button";
    button.addEventListener("click", () => { sorting = {by, up: sorting.by === by ? !sorting.up : by !== "size" && by !== "score"}; drawTable(); });
    cell.append(button);
    head.append(cell);
  }
  head.append(make("th"));
  const value = COLUMNS.find(column => column[0] === sorting.by)[2];
  const rows = answer.objects.map((thing, index) => ({...thing, no: index + 1}));
  rows.sort((a, b) => (value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : a.no - b.no) * (sorting.up ? 1 : -1));
  for (const thing of rows) {
    const row = body.insertRow(), what = make("td"), dot = make("span", "", "ga-swatch"), decide = make("td");
    row.dataset.key = thing.key;
    row.tabIndex = 0;
    row.title = "Show in the image";
    row.className = [thing.rejected ? "rejected" : "", String(thing.key) === chosen ? "chosen" : ""].join(" ");
    dot.style.background = answer.targets[thing.target].colour;
    what.append(dot, document.createTextNode(answer.targets[thing.target].phrase));
    decide.append(decideButton(thing));
    row.append(make("td", thing.no), what, make("td", thing.size), make("td", thing.score.toFixed(2)), decide);
    const go = () => choose(answer.objects.find(o => String(o.key) === row.dataset.key), true);
    row.addEventListener("click", go);
    row.addEventListener("keydown", event => { if (event.key === "Enter") go(); });
  }
  const scroller = make("div", "", "ga-scroll");
  scroller.append(table);
  pane.replaceChildren(scroller);
}

const DRAWERS = {map: drawMap, table: drawTable, steps: drawSteps, compare: drawCompare};
let tab = "image";
function openTab(name) {
  tab = name;
  for (const button of element.querySelectorAll("[data-tab]")) button.setAttribute("aria-selected", button.dataset.tab === name);
  for (const pane of element.querySelectorAll("[data-pane]")) pane.hidden = pane.dataset.pane !== name;
  if (DRAWERS[name]) DRAWERS[name]();
  else if (answer && view.late) view.fit();
  else if (answer) view.show();
}

function drawAll() {
  const sent = props.value ? JSON.parse(props.value) : null;
  const shown = props.picture ? JSON.parse(props.picture) : null;
  const before = answer, newPicture = shown && (!picture || shown.source !== picture.source);
  if (sent && sent.name === null) drawFacts(sent.facts);
  if (!sent || !shown || sent.name !== shown.name) return;  // the other half is on its way
  answer = sent; picture = shown;
  part("empty").hidden = true;
  part("tools").hidden = false;
  if (newPicture) {
    for (const [key, value] of [["href", picture.source], ["width", answer.width], ["height", answer.height]]) part("picture").setAttribute(key, value);
    [view.width, view.height] = [answer.width, answer.height];
    stage.style.setProperty("--ratio", answer.width / answer.height);
    requestAnimationFrame(() => view.fit());
  }
  if (!before || newPicture || before.turn !== answer.turn) { clearDrawn(); setTool("move"); choose(null); }
  drawOutlines();
  drawLegend();
  drawMarks();
  const again = answer.objects.find(thing => String(thing.key) === chosen);
  choose(again || null, false);
  const select = part("images");
  select.replaceChildren(...answer.images.map((name, index) => new Option(name, index, false, index === answer.current)));
  select.hidden = answer.images.length < 2;
  drawFacts(answer.facts);
  openTab(tab);
}

function drawFacts(facts) {
  part("facts").replaceChildren(...facts.map(([name, value]) => {
    const item = make("div");
    item.append(make("dt", name), make("dd", value));
    item.title = `${name}: ${value}`;
    return item;
  }));
}

for (const button of element.querySelectorAll("[data-tab]")) button.addEventListener("click", () => openTab(button.dataset.tab));
element.querySelector(".ga-tabs").addEventListener("keydown", event => {
  const turn = {ArrowLeft: -1, ArrowRight: 1}[event.key];
  if (!turn) return;
  const buttons = [...element.querySelectorAll("[data-tab]")], next = buttons[(buttons.findIndex(b => b.dataset.tab === tab) + turn + buttons.length) % buttons.length];
  next.focus(); openTab(next.dataset.tab);
});
for (const button of element.querySelectorAll("[data-zoom]")) button.addEventListener("click", () => ({in: () => view.zoomBy(1.5), out: () => view.zoomBy(1 / 1.5), fit: () => view.fit()})[button.dataset.zoom]());
for (const button of element.querySelectorAll("[data-tool]")) button.addEventListener("click", () => setTool(button.dataset.tool));
part("images").addEventListener("change", event => trigger("turn", {index: Number(event.target.value)}));
let seen = "";  // a stage that was only hidden for a while keeps its zoom
new ResizeObserver(() => {
  const size = `${stage.clientWidth} ${stage.clientHeight}`;
  if (!stage.clientWidth || size === seen) return;
  seen = size;
  if (answer) view.fit();
}).observe(stage);
window.addEventListener("resize", () => { if (tab === "map" && map) map.refit(); });
watch(["value", "picture"], drawAll);
watch("other", () => { other = props.other ? JSON.parse(props.other) : null; if (tab === "compare") drawCompare(); });
drawAll();
