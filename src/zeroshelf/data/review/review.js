// The page: which pictures are shown, what keys and clicks mean. Everything else has its own module.

import * as compare from "./compare.js";
import * as detail from "./detail.js";
import * as filters from "./filters.js";
import * as cells from "./grid.js";
import * as notes from "./notes.js";
import * as panels from "./panels.js";
import * as shelves from "./shelves.js";
import * as suggestions from "./suggestions.js";
import { ALIKE, ALL, USER, UNSURE, request, edit, load, news, place, run, unsureBelow } from "./state.js";
import { $, baseName, make, number, plural, slashes, visible } from "./words.js";

const { grid } = cells;

// What is shown: a shelf, ALL or UNSURE; or `found`, a list of rows in an order of its own.
const view = { look: UNSURE, found: null, title: "", text: "" };
const spread = new Set();  // stacks that were spread out
let names = null;          // paths in small letters, once something is looked for

// --- which pictures ---------------------------------------------------------------------------------

let stacked = null;        // group -> whether it has more than one picture

function matching() {
  const passes = filters.test();
  if (view.found) return { rows: passes ? view.found.filter(passes) : view.found, piles: new Map() };
  const { size, columns, p, by, stacks } = run;
  const wanted = run.names.indexOf(view.look), alike = view.look === ALIKE;
  if (alike) countStacks();
  const below = view.look === UNSURE ? unsureBelow() : 256;
  const words = view.text.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length) names ??= run.paths.map((path) => path.toLowerCase());
  // unsure first, what the user corrected last: a counting sort over 257 levels
  const levels = new Uint16Array(size), starts = new Uint32Array(258);
  for (let row = 0; row < size; row += 1) {
    const yours = by[row] === USER && !alike;
    const fits = (!alike || stacked[stacks[row]]) && (wanted < 0 || columns[row] === wanted) && (below === 256 || (!yours && p[row] < below))
      && words.every((word) => names[row].includes(word)) && (!passes || passes(row));
    levels[row] = !fits ? 257 : yours ? 256 : p[row];
    if (fits) starts[levels[row] + 1] += 1;
  }
  for (let level = 1; level < 258; level += 1) starts[level] += starts[level - 1];
  const sorted = new Uint32Array(starts[257]);
  for (let row = 0; row < size; row += 1) if (levels[row] < 257) sorted[starts[levels[row]]++] = row;
  // groups of near-duplicates lie side by side, in the order of their first pictures
  if (alike) return { rows: sorted.sort((a, b) => stacks[a] - stacks[b] || a - b), piles: new Map() };
  return fold(sorted, stacks, columns);
}

function countStacks() {
  if (stacked) return;
  stacked = new Uint8Array(run.size);
  run.stacks.forEach((top, row) => { if (top !== row) stacked[top] = 1; });
}

/** Pictures that look the same and lie on the same shelf become one, with their number. */
function fold(sorted, stacks, columns) {
  countStacks();
  const piles = new Map(), first = new Map();
  let count = 0;
  for (const row of sorted) {
    const group = stacks[row];
    if (stacked[group] && !spread.has(group)) {
      const pile = group * run.names.length + columns[row], top = first.get(pile);
      if (top !== undefined) { piles.set(top, (piles.get(top) ?? 1) + 1); continue; }
      first.set(pile, row);
    }
    sorted[count] = row;
    count += 1;
  }
  return { rows: sorted.subarray(0, count), piles };
}

/** The pictures themselves and what lies under them in their stacks. */
function withPiles(rows) {
  const whole = new Set(rows);
  for (const top of rows) {
    if ((grid.piles.get(top) ?? 1) < 2) continue;
    run.stacks.forEach((group, row) => { if (group === run.stacks[top] && run.columns[row] === run.columns[top]) whole.add(row); });
  }
  return [...whole];
}

let frame = 0;             // the one that will draw what keys have done

function refresh(later = false) {
  const { rows, piles } = matching();
  cells.take(rows, piles);
  if (!later) draw();
  else frame ||= requestAnimationFrame(draw);
}

function draw() {
  cancelAnimationFrame(frame);
  frame = 0;
  cells.show();
  shelves.draw(view.found ? null : view.look);
  tell();
}

function tell() {
  const shown = grid.rows.length;
  const where = view.title || { [ALL]: "all pictures", [UNSURE]: "unsure", [ALIKE]: "nearly the same as another one" }[view.look] || `on ${visible(view.look)}`;
  const only = filters.said();
  $("compare-open").hidden = view.look !== ALIKE || Boolean(view.found) || !shown;
  $("shown").textContent = `${plural(shown, "picture")}${shown && !view.found && grid.piles.size ? " and stacks" : ""}: ${[where, ...only].join(", ")}`;
  $("grid").setAttribute("aria-label", `Pictures: ${where}${view.found ? "" : ", unsure first"}`);
  $("nothing").hidden = shown > 0;
  $("nothing").textContent = view.found ? view.nothing : view.text || only.length ? "No picture matches." : view.look === UNSURE ? "Nothing is unsure." : "No picture here.";
  $("select-all").replaceChildren(`Select all ${number(shown)} that match `, make("kbd", "", "A"));
  $("select-shown").hidden = $("select-all").hidden = shown === 0;
  const count = grid.selected.size;
  $("select-none").hidden = count === 0;
  $("tray").hidden = count === 0;
  $("tray-count").textContent = plural(count, "picture") + " selected";
}

let searches = 0;          // a late answer to an earlier one is not shown

function look(where) {
  searches += 1;
  Object.assign(view, { look: where, found: null, title: "", text: "" });
  $("text").value = "";
  cells.start();
  grid.selected.clear();
  refresh();
  if (scrollY > $("layout").offsetTop) scrollTo(0, $("layout").offsetTop);
}

async function search(address, title, doing, nothing = "No picture here.") {
  const mine = (searches += 1), given = await request(address, doing);
  if (!given || mine !== searches) return;
  Object.assign(view, { found: given.rows, title, text: "", nothing });
  cells.start();
  grid.selected.clear();
  refresh();
  $("grid").focus({ preventScroll: true });
}

function list(rows, title) {
  searches += 1;
  Object.assign(view, { found: rows, title, text: "" });
  cells.start();
  grid.selected.clear();
  refresh();
  $("grid").focus({ preventScroll: true });
}

// --- acts -------------------------------------------------------------------------------------------

let offering = 0;

function put(column) {
  const open = detail.isOpen(), stays = view.found || view.look === ALL || view.look === ALIKE ? 1 : 0;
  const rows = detail.over ? [detail.row] : withPiles(open ? [detail.row] : cells.chosen());
  if (!rows.length || column < 0) return;
  if (!open) grid.selected.clear();
  if (view.found && rows.length === 1 && !detail.over) grid.active = Math.min(grid.active + stays, grid.rows.length - 1);
  place(rows, column);
  say(`${plural(rows.length, "picture")} on ${visible(run.names[column])}`);
  if (open) detail.again(true);
  clearTimeout(offering);
  offering = setTimeout(suggestions.offer, 900);
}

async function undo() {
  const before = run.columns.slice(), mine = run.by.slice();
  const done = await edit({ do: "undo" });
  if (!done) return;
  say(done.moved ? "Undone" : "Nothing to undo");
  const index = grid.rows.findIndex((row) => run.columns[row] !== before[row] || run.by[row] !== mine[row]);
  if (index >= 0) cells.activate(index);
  if (detail.isOpen()) detail.again(false);
  suggestions.offer();
}

let saying = 0;
function say(text) {
  $("says").textContent = text;
  clearTimeout(saying);
  saying = setTimeout(() => { $("says").textContent = ""; }, 2500);
}

// --- keys -------------------------------------------------------------------------------------------

const STEPS = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: "up", ArrowDown: "down", PageUp: "page up", PageDown: "page down", Home: -Infinity, End: Infinity };

function step(key) {
  const page = Math.max(1, Math.floor(innerHeight / 260)) * grid.columns;
  return { up: -grid.columns, down: grid.columns, "page up": -page, "page down": page }[STEPS[key]] ?? STEPS[key];
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  // a dialog takes its own keys; those that a picture shown large lies over don't
  if ([...document.querySelectorAll("dialog[open]:not(#detail)")].some((one) => one !== detail.over)) return;
  if (event.target.closest("input, select, textarea")) {
    if (event.key === "Escape") { $("grid").focus({ preventScroll: true }); if (view.found || view.text || $("text").value) look(view.look); }
    return;
  }
  const dialog = detail.isOpen();
  const onButton = event.target.closest("button, a, summary");
  const act = {
    z: undo, "+": panels.addWords, "/": () => { openTools(true); $("text").focus(); }, "?": panels.openHelp, e: () => spreadOut(grid.rows[grid.active]),
    a: () => cells.select(grid.rows.slice(...cells.inView())), A: () => cells.select(grid.rows),
  }[event.key];
  const column = shelves.keys.get(event.key);
  if (dialog && "aAe+/ ".includes(event.key)) return;
  if (column !== undefined) put(column);
  else if (act) act();
  else if (event.key in STEPS && dialog) { if (/^Arrow(Left|Right)$/.test(event.key)) detail.step(step(event.key)); else return; }
  else if (event.key in STEPS && (event.target === $("grid") || event.target === document.body)) {
    $("grid").focus({ preventScroll: true });
    cells.move(grid.active + step(event.key), event.shiftKey);
  }
  else if (event.key === " " && !onButton) cells.toggle(grid.active);
  else if (event.key === "Enter" && !onButton && !dialog) detail.show(grid.active);
  else if (event.key === "Escape" && detail.over) $("detail").close();  // and not what it lies over, too
  else if (event.key === "Escape" && !dialog) { if (grid.selected.size) cells.select([]); else if (view.found) look(view.look); }
  else return;
  event.preventDefault();
});

function spreadOut(row) {
  if (row === undefined) return;
  if (!spread.delete(run.stacks[row])) spread.add(run.stacks[row]);
  refresh();
}

// --- find, select, correct next ------------------------------------------------------------------------------

function find() {
  const text = $("text").value.trim();
  if ($("find-by").value === "look" && text) {
    search(`search?words=${encodeURIComponent(text)}`, `most like \u201c${visible(text)}\u201d, the nearest first`, "Looking for what shows that \u2026", "Nothing looks like that.");
    return;
  }
  searches += 1;
  Object.assign(view, { found: null, title: "", text });
  cells.start();
  refresh();
}
let typing = 0;
$("text").addEventListener("input", () => {
  clearTimeout(typing);
  if ($("find-by").value === "name" || !$("text").value) typing = setTimeout(find, 120);
});
$("find-by").addEventListener("change", find);
$("find").addEventListener("submit", (event) => { event.preventDefault(); find(); if ($("find-by").value === "name") $("grid").focus({ preventScroll: true }); });
$("select-shown").addEventListener("click", () => cells.select(grid.rows.slice(...cells.inView())));
$("select-all").addEventListener("click", () => cells.select(grid.rows));
$("select-none").addEventListener("click", () => cells.select([]));
$("undo-edit").addEventListener("click", undo);
$("tray-put").addEventListener("click", () => put(run.names.indexOf($("tray-shelf").value)));
$("informative").addEventListener("click", () => search("most-informative?count=20", "correcting these helps most",
  "Learning from your corrections, and looking for the pictures that help most \u2026"));

shelves.heard.look = look;
shelves.heard.drop = put;
cells.heard.select = tell;
filters.heard.change = () => { cells.start(); refresh(); };
cells.heard.open = (index) => detail.show(index);
detail.heard.place = put;
detail.heard.move = (index) => cells.activate(index);
panels.heard.say = suggestions.heard.say = compare.heard.say = say;
detail.heard.isAlike = (row) => Boolean(stacked?.[run.stacks[row]]);
detail.heard.compare = (row) => compare.open(run.stacks[row]);
// the groups of what is shown, or of all pictures if none of it is in one
compare.heard.groups = () => {
  countStacks();
  const some = [...new Set(Array.from(grid.rows, (row) => run.stacks[row]))].filter((first) => stacked[first]);
  return some.length ? some : [...new Set(run.stacks)].filter((first) => stacked[first]);
};
$("compare-open").addEventListener("click", () => compare.open(run.stacks[grid.rows[grid.active]]));
panels.heard.find = list;
$("detail").addEventListener("close", () => {
  if (document.activeElement === document.body) $("grid").focus({ preventScroll: true });
});

// --- news -------------------------------------------------------------------------------------------

const how = make("span", "", run.kind);
news.addEventListener("change", ({ detail: { mine } }) => {
  const row = grid.rows[grid.active], held = mine ? null : cells.anchor();
  if (!run.names.includes(view.look) && ![ALL, ALIKE].includes(view.look)) view.look = UNSURE;  // its shelf was dropped
  refresh(mine);  // my keys may come faster than frames
  if (mine) return;
  cells.stay(row);  // an edit from elsewhere, or of all pictures, must not advance to the next picture
  cells.hold(held);  // nor move what is looked at
});
news.addEventListener("saved", () => {
  if (frame && !run.pending) draw();
  $("saved").textContent = run.lost ? "The server has stopped. Every saved edit is safe."
    : run.pending ? "Saving …" : run.edits ? `${plural(run.edits, "edit")} saved` : "";
  $("saved").classList.toggle("lost", run.lost);
  $("undo-edit").disabled = !run.undoable && !run.pending;
  if (!panels.sliding) $("offset").value = run.offset;
  $("offset-tool").hidden = run.closed;
  how.textContent = run.kind;
  document.body.dataset.edits = run.edits;
  document.body.dataset.pending = run.pending;
});
news.addEventListener("trouble", ({ detail: text }) => say(text));
news.addEventListener("working", ({ detail: [what] }) => {
  const [stage, done, total] = run.making ?? [], more = stage && total ? ` (${stage}: ${number(done)} of ${number(total)})` : "";
  const says = what ? `${what}${more}` : stage ? `Reading the run, so that more can be changed \u2026${more}` : "";
  $("working").replaceChildren(...(says ? [make("span", "turning"), says] : []));
});

// --- what is folded away in a narrow window ----------------------------------------------------------

function openTools(open) {
  document.body.classList.toggle("tools", open);
  $("tools-open").setAttribute("aria-expanded", open);
}
$("tools-open").addEventListener("click", () => openTools(!document.body.classList.contains("tools")));
new ResizeObserver(() => document.body.style.setProperty("--dock", `${$("dock").offsetHeight}px`)).observe($("dock"));

const inApp = location.pathname.match(/\/review\/([^/]+)\/$/);  // below the app's address
$("back").hidden = !inApp;
if (inApp) $("back").href = `../../#/run/${inApp[1]}`;

await load();
const folder = visible(baseName(slashes(run.facts.folder).replace(/\/+$/, "")) || run.facts.folder);
document.title = `${folder} \u00b7 zeroshelf review`;
$("headline").textContent = folder;
$("facts").append(
  make("span", "", plural(run.size, "picture")),
  make("span", "", how, " to ", make("bdi", "", visible(run.facts.destination))),
  make("span", "", "model ", make("bdi", "", visible(run.facts.model))),
  ...notes.links());
notes.draw();
if (!shelves.counts().unsure) view.look = ALL;
shelves.countAlike(compare.count());
refresh();
suggestions.offer();
$("grid").focus({ preventScroll: true });
await panels.offerWords();  // what it offers moves the pictures down: before the user begins
document.body.dataset.ready = "true";
