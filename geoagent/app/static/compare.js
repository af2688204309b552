// Two images of a place: over each other with a swipe, or side by side.
let other = null, sideBySide = false;

function drawCompare() {
  const pane = element.querySelector('[data-pane="compare"]');
  if (!answer || answer.images.length < 2) {
    pane.replaceChildren(make("p", "Add a second image of the same place, of another date, to lay the two over each other and swipe between them.", "ga-none"));
    return;
  }
  const bar = make("div", "", "ga-swipe-bar"), label = make("label", "Compare with "), select = make("select"), how = make("button", sideBySide ? "Swipe" : "Side by side", "ga-decide");
  answer.images.forEach((name, index) => { if (index !== answer.current) select.append(new Option(name, index)); });
  if (other && answer.images[other.index] === other.name && other.index !== answer.current) select.value = other.index;
  select.addEventListener("change", () => trigger("compare", {index: Number(select.value)}));
  how.type = "button";
  how.addEventListener("click", () => { sideBySide = !sideBySide; drawCompare(); element.querySelector(".ga-swipe-bar button").focus(); });
  label.append(select);
  bar.append(label, how);
  if (!other || other.index !== Number(select.value) || answer.images[other.index] !== other.name || other.over !== answer.current) {
    pane.replaceChildren(bar, make("p", "Loading the other image …", "ga-none"));
    trigger("compare", {index: Number(select.value)});
    return;
  }
  bar.append(make("span", other.how, "ga-soft"));
  pane.replaceChildren(bar, sideBySide ? bothImages() : swipe());
}

function dated(source, name, place) {
  const image = make("img");
  image.src = source; image.alt = name;
  return [image, make("span", name, `ga-badge ${place}`)];
}

function bothImages() {
  const row = make("div", "", "ga-both");
  for (const [source, name] of [[picture.source, answer.name], [other.source, other.name]]) {
    const frame = make("div", "", "ga-swipe");
    frame.style.aspectRatio = `${answer.width} / ${answer.height}`;
    frame.append(...dated(source, name, "ga-left"));
    row.append(frame);
  }
  return row;
}

function swipe() {
  const frame = make("div", "", "ga-swipe"), slider = make("input"), line = make("div", "", "ga-swipe-line");
  const [before, left] = dated(picture.source, answer.name, "ga-left"), [after, right] = dated(other.source, other.name, "ga-right");
  frame.style.aspectRatio = `${answer.width} / ${answer.height}`;
  frame.style.maxWidth = `calc(62vh * ${answer.width / answer.height})`;
  slider.type = "range"; slider.min = 0; slider.max = 100; slider.value = 50;
  slider.setAttribute("aria-label", "Swipe between the two images");
  const show = () => { after.style.clipPath = `inset(0 0 0 ${slider.value}%)`; line.style.left = `${slider.value}%`; };
  slider.addEventListener("input", show);
  frame.append(before, after, line, slider, left, right);
  show();
  return frame;
}
