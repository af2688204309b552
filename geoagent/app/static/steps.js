// The steps: for each phrase what led to its mask. Maps come as one byte a cell and are laid over the picture.
const HEAT = [[13, 8, 60], [84, 16, 110], [170, 44, 96], [231, 92, 48], [252, 168, 20], [246, 248, 130]];
const SMALL = 480;

function drawSteps() {
  const pane = element.querySelector('[data-pane="steps"]');
  if (!answer || !answer.steps.length) {
    pane.replaceChildren(make("p", "Nothing to show yet: after a question, this tells for each phrase where the model looked and what it decided.", "ga-none"));
    return;
  }
  const list = make("div", "", "ga-scroll ga-steps"), head = make("div", "", "ga-asked"), ramp = make("span", "", "ga-ramp");
  ramp.append(make("span", "little"), make("i"), make("span", "much"));
  head.append(make("span", `“${answer.question}”${pointedAt(answer.prompts)}`), ramp);
  list.append(head);
  for (const step of answer.steps) {
    const card = make("section", "", "ga-step"), row = make("div", "", "ga-figures");
    card.append(make("h3", step.phrase), make("p", step.verdict, "ga-soft"));
    step.maps.forEach((map, index) => {
      const layers = [heatOf(map)];
      if (map.title === "Prompt" && answer.prompts) layers.push(marksLayer(answer.prompts));
      row.append(figure(`${index + 1}. ${map.title}`, map.text, layers));
    });
    const mask = make("img");
    if (step.mask) { mask.src = step.mask; mask.alt = ""; }
    row.append(figure(`${step.maps.length + 1}. Mask`, step.drawn, step.mask ? [mask] : []));
    card.append(row);
    list.append(card);
  }
  pane.replaceChildren(list);
  smallPicture().then(source => { for (const image of list.querySelectorAll("img.ga-under")) image.src = source; });
}

function pointedAt(prompts) {
  const kinds = prompts ? [["point", "points"], ["box", "boxes"], ["scribble", "scribbles"]] : [];
  const said = kinds.map(([one, many]) => [prompts[many].length, one, many]).filter(([n]) => n).map(([n, one, many]) => `${n} ${n === 1 ? one : many}`);
  return said.length ? `, with ${said.join(", ")}` : "";
}

function figure(title, text, layers) {
  const node = make("figure"), frame = make("div", "", "ga-layers"), under = make("img", "", "ga-under"), caption = make("figcaption");
  frame.style.aspectRatio = `${answer.width} / ${answer.height}`;
  under.alt = text;
  frame.append(under, ...layers);
  caption.append(make("b", title), document.createTextNode(` ${text}`));
  node.append(frame, caption);
  return node;
}

function heatOf(map) {
  const canvas = make("canvas", "", "ga-heat"), values = atob(map.values);
  [canvas.width, canvas.height] = [map.width, map.height];
  const painter = canvas.getContext("2d"), pixels = painter.createImageData(map.width, map.height);
  for (let i = 0; i < values.length; i++) {
    const at = values.charCodeAt(i) / 255 * (HEAT.length - 1), low = Math.min(Math.floor(at), HEAT.length - 2);
    for (let k = 0; k < 3; k++) pixels.data[4 * i + k] = HEAT[low][k] + (HEAT[low + 1][k] - HEAT[low][k]) * (at - low);
    pixels.data[4 * i + 3] = 255;
  }
  painter.putImageData(pixels, 0, 0);
  return canvas;
}

function marksLayer(prompts) {
  const svg = svgNode("svg", {viewBox: `0 0 ${answer.width} ${answer.height}`, preserveAspectRatio: "none"}), group = svgNode("g");
  marksOf(prompts, group, "mark");
  for (const mark of group.querySelectorAll("[data-steady]")) {
    mark.setAttribute("transform", `translate(${mark.dataset.x} ${mark.dataset.y}) scale(${answer.width / 260})`);
    mark.removeAttribute("data-steady");
  }
  svg.append(group);
  return svg;
}

// The picture once more, small: many figures show it.
const small = {of: null, source: null};
async function smallPicture() {
  if (small.of === picture.source) return small.source;
  const image = new Image(), canvas = make("canvas"), of = picture.source;
  image.src = of;
  await image.decode();
  const scale = Math.min(1, SMALL / Math.max(image.naturalWidth, image.naturalHeight));
  [canvas.width, canvas.height] = [Math.ceil(image.naturalWidth * scale), Math.ceil(image.naturalHeight * scale)];
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  small.of = of;
  return small.source = canvas.toDataURL("image/jpeg", .85);
}
