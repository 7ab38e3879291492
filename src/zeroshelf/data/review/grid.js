// The pictures that match, drawn only where the window is. A listbox: one picture is active, any
// number are selected. Cells are used again; a thumbnail is asked for when scrolling has come to rest.
// No browser lets an element be as high as a million pictures: of more than HIGHEST pixels a part is
// laid out, which goes along with the window.

import { confidence, run, spokenConfidence } from "./state.js";
import { $, baseName, make, number, visible } from "./words.js";

const GAP = 14, CAPTION = 46, LEAST = 150, REST = 70;  // pixels; REST in ms
const HIGHEST = 8_000_000;  // pixels: Firefox ends at 17 million, others at 33

export const grid = {
  rows: [],          // what is shown, in order
  piles: new Map(),  // row -> how many pictures lie in its stack
  active: 0,
  selected: new Set(),
  columns: 1,
};

const box = $("grid");
const cells = new Map();  // index -> cell
const spare = new Map();  // row -> the cell that showed it last
let cell = LEAST, rest = 0;
let skipped = 0;           // lines of pictures above the part that is laid out

const step = () => cell + CAPTION + GAP;
const lines = () => Math.ceil(grid.rows.length / grid.columns);
const most = () => Math.floor(HIGHEST / step());  // lines of that part
const lineOf = (index) => Math.floor(index / grid.columns);

export const heard = { select() {}, open() {} };  // set by the page

/** What is shown from here on: the next key is about it, also before `show` has drawn it. */
export function take(rows, piles) {
  grid.rows = rows;
  grid.piles = piles;
  grid.active = Math.max(0, Math.min(grid.active, rows.length - 1));
  if (!grid.selected.size) return;
  const shown = new Set(rows);  // nothing is done to a picture that is not shown
  for (const row of grid.selected) if (!shown.has(row)) grid.selected.delete(row);
}

/** Other pictures: from the first one on. */
export function start() {
  grid.active = from = skipped = 0;
}

/** The same picture stays the active one, wherever it is now. */
export function stay(row) {
  const index = grid.rows.indexOf(row);
  if (index < 0 || index === grid.active) return;
  grid.active = index;
  point();
}

/** Where the window is: the active picture if it is in sight, else the first one that is whole, and what follows. */
export function anchor() {
  const [first, last] = inView(), seen = first + (topOf(first) < covered().top ? grid.columns : 0);
  const index = grid.active >= seen && grid.active < last ? grid.active : Math.min(seen, Math.max(0, grid.rows.length - 1));
  return { rows: grid.rows.slice(index), top: topOf(index) };
}

/** Scroll so that the picture of an anchor, or the next that is still shown, is where it was in the window. */
export function hold({ rows, top }) {
  if (!rows.length || !grid.rows.length) return;
  const place = new Map();
  grid.rows.forEach((row, index) => place.set(row, index));
  const row = rows.find((one) => place.has(one));
  if (row === undefined) return;
  reach(place.get(row));
  scrollBy(0, topOf(place.get(row)) - top);
  draw();
}

const topOf = (index) => box.getBoundingClientRect().top + (lineOf(index) - skipped) * step();

/** Lay out the part that begins so many lines from the first. */
function layOutFrom(line) {
  skipped = Math.max(0, Math.min(line, lines() - most()));
  box.style.height = `${Math.min(lines() - skipped, most()) * step()}px`;
  for (const [index, element] of cells) put(element, index);
}

/** The picture is in the part that is laid out. */
function reach(index) {
  const line = lineOf(index);
  if (line < skipped || line >= skipped + most()) layOutFrom(line - Math.floor(most() / 2));
}

/** The window has come near the end of the part: the next one is laid out, and nothing on the screen moves. */
function goAlong() {
  const at = Math.floor(-box.getBoundingClientRect().top / step()), some = Math.floor(most() / 8), before = skipped;
  const near = (at < some && skipped > 0) || (at > most() - some && skipped + most() < lines());
  if (!near) return;
  layOutFrom(skipped + at - Math.floor(most() / 2));
  scrollBy({ top: (before - skipped) * step(), behavior: "instant" });
}

/** What lies over the window's edges: the tools or the line about the pictures above, what is offered below. */
function covered() {
  const bars = [$("tools"), $("line")].filter((bar) => getComputedStyle(bar).position === "sticky");
  return { top: bars.reduce((most, bar) => Math.max(most, bar.offsetHeight), 0), bottom: $("dock").offsetHeight };
}

export function show() {
  box.hidden = grid.rows.length === 0;
  layOut();
}

function layOut() {
  const width = box.clientWidth || box.parentElement.clientWidth, first = skipped * grid.columns;
  for (const [index, element] of cells) free(index, element);
  grid.columns = Math.max(2, Math.floor((width + GAP) / (LEAST + GAP)));
  cell = (width - GAP * (grid.columns - 1)) / grid.columns;
  layOutFrom(lineOf(first));
  draw();
}

function free(index, element) {
  cells.delete(index);
  element.hidden = true;
  element.removeAttribute("id");
  spare.set(element.image.row, element);
}

/** First and last index in the window, and a little more when `reach` is in pixels. */
export function inView(reach = 0) {
  const above = -box.getBoundingClientRect().top;
  const first = Math.max(0, skipped + Math.floor((above - reach) / step())) * grid.columns;
  const last = (skipped + Math.ceil((above + innerHeight + reach) / step())) * grid.columns;
  return [first, Math.min(last, grid.rows.length)];
}

export function draw() {
  goAlong();
  const [first, last] = inView(cell);
  for (const [index, element] of cells) if (index < first || index >= last) free(index, element);
  for (let index = first; index < last; index += 1) {
    let element = cells.get(index);
    if (!element) {
      element = taken(grid.rows[index]);
      cells.set(index, element);
      fill(element, index);
    }
  }
  point();
}

/** A cell for a picture: preferably the one that has its thumbnail already. */
function taken(row) {
  const element = spare.get(row) ?? spare.values().next().value;
  if (!element) return blank();
  spare.delete(element.image.row);
  return element;
}

function blank() {
  const image = make("img");
  image.alt = "";
  image.draggable = false;
  image.decoding = "async";
  image.addEventListener("load", () => image.classList.add("ready"));
  const symbol = make("span", "confidence-symbol"), shelf = make("bdi", "shelf"), file = make("bdi", "file");
  const element = make("div", "card", make("span", "frame", image, make("span", "tick"), make("span", "pile")), make("span", "says", symbol, shelf), file);
  element.setAttribute("role", "option");
  element.draggable = true;
  Object.assign(element, { image, shelf, file, says: symbol.parentElement, pile: element.querySelector(".pile") });
  box.append(element);
  return element;
}

function put(element, index) {
  const x = (index % grid.columns) * (cell + GAP), y = (lineOf(index) - skipped) * step();
  element.style.transform = `translate(${x}px, ${y}px)`;
}

function fill(element, index) {
  const row = grid.rows[index], pile = grid.piles.get(row) ?? 1;
  element.hidden = false;
  element.index = index;
  element.id = `picture-${row}`;
  put(element, index);
  element.style.width = `${cell}px`;
  element.style.height = `${cell + CAPTION}px`;
  const name = visible(baseName(run.paths[row])), shelf = visible(run.names[run.columns[row]] ?? "");
  element.says.className = `says ${confidence(row)}`;
  element.shelf.textContent = shelf;
  element.file.textContent = name;
  element.pile.hidden = pile < 2;
  element.pile.textContent = pile < 2 ? "" : `\u00d7 ${number(pile)}`;
  element.setAttribute("aria-label", `${name}: ${shelf}, ${spokenConfidence(row)}${pile < 2 ? "" : `, a stack of ${number(pile)}`}`);
  element.setAttribute("aria-posinset", index + 1);
  element.setAttribute("aria-setsize", grid.rows.length);
  element.setAttribute("aria-selected", grid.selected.has(row));
  if (element.image.row !== row) {
    element.image.row = row;
    element.image.classList.remove("ready");
    element.image.removeAttribute("src");
  }
  if (!element.image.hasAttribute("src") && !rest) rest = setTimeout(fetchSome, 0);
}

function fetchSome() {
  rest = 0;
  for (const element of cells.values()) {
    if (!element.image.hasAttribute("src")) element.image.src = `thumbnail/${element.image.row}`;
  }
}

/** Show anew what is on the screen: something about those pictures has changed. */
export function refill() {
  for (const [index, element] of cells) fill(element, index);
  point();
}

function point() {
  const row = grid.rows[grid.active];
  for (const [index, element] of cells) element.classList.toggle("active", index === grid.active);
  if (row !== undefined && cells.has(grid.active)) box.setAttribute("aria-activedescendant", `picture-${row}`);
  else box.removeAttribute("aria-activedescendant");
}

export function activate(index) {
  grid.active = Math.max(0, Math.min(grid.rows.length - 1, index));
  reach(grid.active);
  const { top: above, bottom: below } = covered(), top = topOf(grid.active);
  if (top < above) scrollBy(0, top - above - GAP);
  else if (top + step() > innerHeight - below) scrollBy(0, top + step() - innerHeight + below + GAP);
  draw();
}

// --- selecting ------------------------------------------------------------------------------------

let from = 0;  // where a range begins

export function select(rows) {
  grid.selected = new Set(rows);
  refill();
  heard.select();
}

export function toggle(index) {
  const row = grid.rows[index];
  if (row === undefined) return;
  if (!grid.selected.delete(row)) grid.selected.add(row);
  from = index;
  refill();
  heard.select();
}

export function selectTo(index) {
  const to = Math.max(0, Math.min(grid.rows.length - 1, index));
  select(grid.rows.slice(Math.min(from, to), Math.max(from, to) + 1));
}

export function move(index, extend) {
  if (extend) { selectTo(index); activate(index); } else { from = Math.max(0, index); activate(index); }
}

/** What an act is about: the selected pictures, or the active one. */
export function chosen() {
  if (grid.selected.size) return [...grid.selected];
  return grid.rows.length ? [grid.rows[grid.active]] : [];
}

box.addEventListener("click", (event) => {
  const element = event.target.closest(".card");
  if (!element) return;
  box.focus({ preventScroll: true });
  const touch = matchMedia("(pointer: coarse)").matches;
  if (event.shiftKey) move(element.index, true);
  else if (event.ctrlKey || event.metaKey || event.target.closest(".tick")) { toggle(element.index); activate(element.index); }
  else if (touch) heard.open(element.index);
  else { if (grid.selected.size) select([]); move(element.index, false); }
});
box.addEventListener("dblclick", (event) => {
  const element = event.target.closest(".card");
  if (element) heard.open(element.index);
});
box.addEventListener("dragstart", (event) => {
  const element = event.target.closest(".card");
  if (!element) return;
  if (!grid.selected.has(grid.rows[element.index])) { select([]); move(element.index, false); }
  event.dataTransfer.setData("text/plain", "pictures");
  event.dataTransfer.effectAllowed = "move";
  event.dataTransfer.setDragImage(element, 20, 20);
});

// --- scrolling ------------------------------------------------------------------------------------

let waiting = false;
addEventListener("scroll", () => {
  clearTimeout(rest);
  rest = setTimeout(fetchSome, REST);
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; draw(); });
}, { passive: true });

let width = 0;
new ResizeObserver(() => {
  if (box.clientWidth === width || !box.clientWidth) return;
  width = box.clientWidth;
  layOut();
}).observe(box);
