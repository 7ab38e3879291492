// The shelves at the side: counts, a key for each, drop targets; adding, renaming, merging, dropping.

import { ALIKE, ALL, OTHER, USER, UNSURE, edit, run, unsureBelow } from "./state.js";
import { $, button, make, number, plural, visible } from "./words.js";

export const heard = { look() {}, drop() {} };  // set by the page
export const keys = new Map();  // key -> column

const RESERVED = new Set("ozae");
let looked = UNSURE;  // or ALL, or a shelf's name; null while something else is shown

/** A key for each label: a letter of the last part of its path, else of the rest, a digit, any letter. "o" is other. */
function giveKeys() {
  keys.clear();
  const letters = "abcdefghijklmnopqrstuvwxyz";
  run.names.forEach((name, column) => {
    if (column === run.names.length - 1) return;
    const free = (key) => /^[a-z0-9]$/.test(key) && !RESERVED.has(key) && !keys.has(key);
    const last = name.slice(name.lastIndexOf("/") + 1);  // "animals/cat": c
    const key = [...last.toLowerCase(), ...name.toLowerCase(), ..."123456789", ...letters].find(free);
    if (key) keys.set(key, column);
  });
  keys.set("o", run.names.length - 1);
}

export const keyOf = (column) => [...keys].find(([, own]) => own === column)?.[0];

export function counts() {
  const tally = new Array(run.names.length).fill(0), below = unsureBelow();
  let unsure = 0;
  for (let row = 0; row < run.size; row += 1) {
    tally[run.columns[row]] += 1;
    if (run.p[row] < below && run.by[row] !== USER) unsure += 1;
  }
  return { tally, unsure };
}

/** Whether it is the shelf "other" of a closed set, on which the user has put nothing. */
export const without = (column, tally) => run.closed && column === run.names.length - 1 && !tally[column];

let alike = 0;  // pictures that look nearly the same as another one: never changes

export function countAlike(count) {
  alike = count;
}

export function draw(look) {
  looked = look;
  giveKeys();
  const { tally, unsure } = counts();
  const held = document.activeElement?.closest?.("#shelves li")?.dataset.look;
  const entries = [
    entry(ALL, "All pictures", run.size),
    entry(UNSURE, "Unsure", unsure),
    ...(alike ? [entry(ALIKE, "Nearly the same", alike)] : []),
    ...run.names.map((name, column) => without(column, tally) ? null : entry(name, name, tally[column], column)).filter(Boolean),
  ];
  $("shelves").replaceChildren(...entries);
  if (held) [...$("shelves").children].find((li) => li.dataset.look === held)?.querySelector("button").focus();
  const chosen = $("tray-shelf").value;
  $("tray-shelf").replaceChildren(...run.names.map((name) => new Option(visible(name), name, false, name === chosen)));
}

function entry(look, name, count, column) {
  const to = button("to", make("bdi", "name", visible(name)));
  const key = column === undefined ? undefined : keyOf(column);
  if (key) { const cap = make("kbd", "", key); cap.ariaHidden = "true"; to.append(cap); } else to.append(make("span"));
  to.append(make("span", "count", number(count)));
  to.title = visible(name);
  to.setAttribute("aria-label", `${visible(name)}, ${plural(count, "picture")}${key ? `, key ${key}` : ""}`);
  to.setAttribute("aria-pressed", look === looked);
  to.addEventListener("click", () => heard.look(look));
  const li = make("li", look === OTHER || column === 0 ? "apart" : "", to);
  li.dataset.look = look;
  if (column === undefined) { li.append(make("span", "none")); return li; }
  const fill = make("i");
  fill.style.width = `${run.size ? (100 * count) / run.size : 0}%`;
  to.append(make("span", "share", fill));
  to.addEventListener("dragover", (event) => { event.preventDefault(); to.classList.add("over"); });
  to.addEventListener("dragleave", () => to.classList.remove("over"));
  to.addEventListener("drop", (event) => { event.preventDefault(); to.classList.remove("over"); heard.drop(column); });
  if (column === run.names.length - 1) { li.append(make("span", "none")); return li; }
  const more = button("more", "\u22ef");
  more.setAttribute("aria-label", `Change the shelf ${visible(name)}`);
  more.addEventListener("click", () => change(column));
  li.append(more);
  return li;
}

// --- changing a shelf -------------------------------------------------------------------------------

let changing = "";

function change(column) {
  changing = run.names[column];
  $("shelf-name").textContent = visible(changing);
  const words = run.words[column] ?? [];
  $("shelf-words").textContent = words.length ? `Also: ${words.map(visible).join(", ")}` : "";
  $("rename-to").value = changing;
  const others = run.names.filter((name) => name !== changing && name !== OTHER);
  $("merge-into").replaceChildren(...others.map((name) => new Option(visible(name), name)));
  $("merge").hidden = others.length === 0;
  $("shelf").showModal();
}

/** `then`: what is shown afterwards if this shelf is shown now. */
async function changed(what, then) {
  const here = looked === changing;
  $("shelf").close();
  if ((await edit(what)) && here) heard.look(then());
}

$("rename").addEventListener("submit", (event) => {
  event.preventDefault();
  const to = $("rename-to").value.trim(), column = run.names.indexOf(changing);
  if (to && to !== changing) changed({ do: "rename", label: changing, to }, () => run.names[column]);
});
$("merge").addEventListener("submit", (event) => {
  event.preventDefault();
  const into = $("merge-into").value;
  changed({ do: "merge", label: changing, into }, () => into);
});
$("drop").addEventListener("click", () => changed({ do: "drop", label: changing }, () => UNSURE));
$("add").addEventListener("submit", async (event) => {
  event.preventDefault();
  const label = $("add-name").value.trim();
  if (label && (await edit({ do: "add", label }))) $("add-name").value = "";
});
