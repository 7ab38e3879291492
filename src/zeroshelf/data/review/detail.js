// One picture, large: what fits best as buttons, the reason and the file's facts.

import { grid } from "./grid.js";
import { SUGGESTION, OTHER, request, confidence, run, spokenConfidence } from "./state.js";
import { keyOf } from "./shelves.js";
import { $, baseName, button, bytes, make, number, percent, visible } from "./words.js";

export const heard = { place() {}, move() {}, compare() {}, isAlike: () => false };  // set by the page

export let row = 0;
export let over = null;  // the dialog over which a picture is shown; null: over the grid

let other = null, at = 0;  // other: the rows of that dialog, and a button of its own for each
const rows = () => other?.rows ?? grid.rows;

export const isOpen = () => $("detail").open;

/** Show the pictures of a dialog large. tool: { text(row), act(row) }, of a button beside the picture. */
export function showOf(these, index, dialog, tool) {
  other = { rows: these, tool };
  over = dialog;
  show(index);
}

/** The picture so many further on, if there is one. */
export const step = (by) => show(Math.max(0, Math.min(rows().length - 1, (other ? at : grid.active) + by)));

/** After an edit: the picture that is next now; of a dialog, whose list stays, the next one. */
export function again(placed) {
  if (!other) show(grid.active);
  else if (placed && at + 1 < other.rows.length) show(at + 1);
  else show(at);
}

export async function show(index) {
  row = rows()[index];
  if (row === undefined) { $("detail").close(); return; }
  at = index;
  const mine = row, name = visible(baseName(run.paths[row]));
  if (!other) heard.move(index);
  $("detail-tool").hidden = !other?.tool;
  $("detail-alike").hidden = Boolean(other) || !heard.isAlike(row);
  if (other?.tool) $("detail-tool").textContent = other.tool.text(row);
  const image = $("detail-picture");
  image.removeAttribute("src");
  image.src = `picture/${row}`;
  image.alt = `${name}, on ${visible(run.names[run.columns[row]])}`;
  $("detail-place").textContent = `${number(index + 1)} of ${number(rows().length)}`;
  $("previous").disabled = index === 0;
  $("next").disabled = index === rows().length - 1;
  $("detail-name").textContent = name;
  verdict();
  $("detail-reason").textContent = "";
  $("detail-top").replaceChildren();
  $("detail-facts").replaceChildren();
  if (!$("detail").open) $("detail").showModal();
  const about = await request(`about/${row}`);
  if (about && mine === row) fill(about);
}

function verdict() {
  const by = run.by[row], sure = confidence(row);
  $("detail-verdict").className = sure;
  const how = sure === "yours" || by === SUGGESTION ? spokenConfidence(row) : `${sure}, ${percent(run.p[row] / 255)}`;
  $("detail-verdict").replaceChildren(make("span", "confidence-symbol"), make("bdi", "", visible(run.names[run.columns[row]])), make("span", "", `\u00b7 ${how}`));
}

function fill(about) {
  $("detail-reason").textContent = run.by[row] === SUGGESTION ? "you accepted that it goes here" : visible(about.reason);
  const now = run.names[run.columns[row]];
  const top = [...about.top, [OTHER, about.other]];
  if (!top.some(([label]) => label === now)) top.unshift([now, 0]);
  $("detail-top").replaceChildren(...top.map(([label, probability]) => {
    const column = run.names.indexOf(label), fill = make("i"), key = keyOf(column);
    fill.style.width = `${100 * probability}%`;
    const cap = key ? make("kbd", "", key) : make("span");
    const one = button("", make("bdi", "", visible(label)), make("span", "percent", percent(probability)), cap, make("span", "track", fill));
    one.setAttribute("aria-pressed", label === now);
    one.addEventListener("click", () => heard.place(column));
    return make("li", "", one);
  }));
  const facts = [
    ["File", about.path],
    ["Size", `${bytes(about.size)}${about.width ? `, ${number(about.width)} \u00d7 ${number(about.height)} pixels` : ""}`],
    ["Taken", about.taken], ["Camera", about.camera],
    ["Place", about.place && `${coordinate(about.place[0], "N", "S")}, ${coordinate(about.place[1], "E", "W")}`],
    ["File changed", about.changed], ["Note", about.note],
  ];
  $("detail-facts").replaceChildren(...facts.filter(([, value]) => value).map(
    ([name, value]) => make("div", "", make("dt", "", name), make("dd", "", make("bdi", "", visible(value))))));
}

const coordinate = (degrees, above, below) => `${Math.abs(degrees).toFixed(5)}\u00b0 ${degrees < 0 ? below : above}`;

$("previous").addEventListener("click", () => step(-1));
$("next").addEventListener("click", () => step(1));
$("detail-alike").addEventListener("click", () => {
  $("detail").close();
  heard.compare(row);
});
$("detail-tool").addEventListener("click", () => {
  other.tool.act(row);
  $("detail-tool").textContent = other.tool.text(row);
});
$("detail").addEventListener("close", () => {
  const from = over;
  other = over = null;
  from?.querySelector(`[data-row="${row}"] button`)?.focus();
});
