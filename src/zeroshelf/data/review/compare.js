// Near-duplicates side by side: keep one, put the others elsewhere. One group after the other.

import * as detail from "./detail.js";
import { OTHER, edit, request, run } from "./state.js";
import { $, baseName, button, bytes, make, number, plural, visible } from "./words.js";

export const heard = { say() {}, groups: () => [] };  // set by the page; groups: the first row of each that is shown

let groups = [], at = 0, given = null, kept = null;
const staying = new Set();  // rows beside the kept one that stay where they are

/** How many pictures look nearly the same as another one. */
export function count() {
  const sizes = new Uint32Array(run.stacks.length);
  for (const first of run.stacks) sizes[first] += 1;
  return sizes.reduce((sum, size) => (size > 1 ? sum + size : sum), 0);
}

export async function open(first) {
  groups = heard.groups();
  at = Math.max(0, groups.indexOf(first));
  await show();
}

async function show() {
  const mine = groups[at];
  if (mine === undefined) { $("compare").close(); return; }
  const found = await request(`alike/${mine}`, "Comparing the pictures \u2026");
  if (!found || mine !== groups[at]) return;
  given = found;
  kept = found.sharpest;
  staying.clear();
  $("compare-place").textContent = `Group ${number(at + 1)} of ${number(groups.length)}`;
  $("compare-previous").disabled = at === 0;
  $("compare-next").disabled = at === groups.length - 1;
  const chosen = $("compare-shelf").value;
  $("compare-shelf").replaceChildren(...run.names.map((name) => new Option(visible(name), name)));
  $("compare-shelf").value = run.names.includes(chosen) ? chosen : OTHER;
  $("compare-pictures").replaceChildren(...found.pictures.map(card));
  paint();
  if (!$("compare").open) $("compare").showModal();
}

function card(one, index) {
  const name = visible(baseName(run.paths[one.row])), image = make("img");
  image.alt = "";
  image.src = `picture/${one.row}`;
  const large = button("large", image);
  large.setAttribute("aria-label", `Show ${name} large`);
  large.addEventListener("click", () => detail.showOf(given.pictures.map(({ row }) => row), index, $("compare"), {
    text: (row) => (row === kept ? "This one is kept" : "Keep this one"), act: keepThis,
  }));
  const keep = make("input"), stay = make("input");
  Object.assign(keep, { type: "radio", name: "kept", value: one.row });
  keep.addEventListener("change", () => keepThis(one.row));
  Object.assign(stay, { type: "checkbox" });
  stay.addEventListener("change", () => { if (stay.checked) staying.add(one.row); else staying.delete(one.row); paint(); });
  const facts = [
    one.width ? `${number(one.width)} \u00d7 ${number(one.height)}, ${bytes(one.size)}` : "can't be shown now",
    one.taken, `on ${visible(run.names[run.columns[one.row]])}`,
  ].filter(Boolean);
  const box = make("li", "", large, make("bdi", "file", name), ...facts.map((fact) => make("span", "quiet", fact)),
    make("label", "", keep, make("span", "", "Keep", make("span", "unseen", ` ${name}`))),
    make("label", "", stay, make("span", "", "Leave, too", make("span", "unseen", `: ${name}`))));
  if (one.row === given.sharpest) box.querySelector(".file").after(make("strong", "", "Sharpest"));
  box.dataset.row = one.row;
  return box;
}

function keepThis(row) {
  kept = row;
  staying.delete(row);
  paint();
}

const going = () => given.pictures.map(({ row }) => row).filter((row) => row !== kept && !staying.has(row));

function paint() {
  for (const box of $("compare-pictures").children) {
    const row = Number(box.dataset.row), [keep, stay] = box.querySelectorAll("input");
    keep.checked = row === kept;
    stay.checked = staying.has(row);
    stay.closest("label").hidden = row === kept;
    box.classList.toggle("kept", row === kept);
  }
  const count = kept === null ? 0 : going().length;
  $("compare-keep").textContent = count ? `Keep one, move ${plural(count, "other")}` : "Keep all";
  $("compare-says").textContent = given.more ? `${plural(given.more, "more picture")} of this group are not shown.` : "";
}

async function decide() {
  const others = going(), shelf = $("compare-shelf").value;
  if (kept !== null && others.length) {
    const done = await edit({ do: "keep", row: kept, others, shelf });
    if (!done) return;
    const stay = done.stay ? ` ${plural(done.stay, "picture")} that you placed before ${done.stay === 1 ? "stays" : "stay"}.` : "";
    heard.say(`${plural(done.moved, "picture")} on ${visible(shelf)}.${stay} z undoes it.`);
  }
  if (at + 1 >= groups.length) { $("compare").close(); return; }
  at += 1;
  await show();
  $("compare-keep").focus();
}

$("compare-keep").addEventListener("click", decide);
$("compare-previous").addEventListener("click", () => { at -= 1; show(); });
$("compare-next").addEventListener("click", () => { at += 1; show(); });
