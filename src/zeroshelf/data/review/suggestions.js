// What the corrections suggest for the other pictures: an offer, and a dialog in which each can be looked at and refused.

import * as detail from "./detail.js";
import { edit, request, run } from "./state.js";
import { $, baseName, button, make, number, plural, visible } from "./words.js";

export const heard = { say() {} };  // set by the page

const LEARNING = "Learning from your corrections \u2026";
const SOME = 12, MORE = 60;  // thumbnails at first, and how many more come at once

let suggested = null, declined = 0, asked = 0;
const refused = new Set();  // rows that shall stay where they are

/** Offer to look at what would change shelf, unless so many corrections ago the user didn't want to. */
export async function offer() {
  if (run.corrections < 3 || run.corrections <= declined) { $("offer").hidden = true; return; }
  const mine = (asked += 1), given = await request("suggestions", LEARNING);
  if (!given || mine !== asked) return;
  const count = given.moves.reduce((sum, move) => sum + move.count, 0);
  $("offer").hidden = count === 0;
  $("offer-says").textContent = `From your ${plural(given.corrections, "correction")}: ${number(count)} more would change shelf.`;
}

export async function open() {
  refused.clear();
  if (!(await ask())) return;
  $("suggestions").showModal();
}

/** Ask for the suggestions, and show them. False if they were not given. */
async function ask(unticked = new Set()) {
  const given = await request("suggestions", LEARNING);
  if (!given) return false;
  suggested = given;
  const count = given.moves.reduce((sum, move) => sum + move.count, 0);
  $("suggestions-says").textContent = !given.corrections
    ? "Correct some pictures first. Two or three a shelf are a good start."
    : !count ? `From your ${plural(given.corrections, "correction")}: nothing else would change shelf.`
      : `From your ${plural(given.corrections, "correction")}. Nothing has moved yet; pictures that you corrected stay where they are. `
        + "Open a picture to see it large; \u2715 leaves it where it is.";
  $("moves").replaceChildren(...given.moves.map((move, at) => entry(move, at, !unticked.has(titled(move)))));
  tally();
  return true;
}

const titled = (move) => JSON.stringify([move.shelf, move.to]);

function entry(move, at, ticked) {
  const box = make("input"), some = make("div");
  Object.assign(box, { type: "checkbox", checked: ticked, value: at });
  box.addEventListener("change", tally);
  const label = make("label", "", box, make("span", "", make("bdi", "", visible(move.shelf)), " \u2192 ", make("bdi", "", visible(move.to)), " ", make("span", "count", number(move.count))));
  const more = button("plain");
  let drawn = 0;
  const draw = (count) => {
    const next = move.rows.slice(drawn, drawn + count);
    some.append(...next.map((row, i) => picture(move, drawn + i)));
    drawn += next.length;
    more.hidden = drawn >= move.rows.length;
    more.textContent = `Show ${number(Math.min(MORE, move.rows.length - drawn))} more`;
  };
  more.addEventListener("click", () => {
    const first = drawn;
    draw(MORE);
    some.children[first]?.querySelector("button").focus();
  });
  draw(SOME);
  return make("li", "", label, some, more);
}

function picture(move, at) {
  const row = move.rows[at], name = visible(baseName(run.paths[row])), image = make("img");
  image.loading = "lazy";
  image.alt = "";
  image.src = `thumbnail/${row}`;
  const large = button("large", image), no = button("no", "\u2715");
  large.setAttribute("aria-label", `Show ${name} large`);
  no.setAttribute("aria-label", `Leave ${name} where it is`);
  no.title = "Leave it where it is";
  const one = make("span", "one", large, no);
  one.dataset.row = row;
  paint(one);
  large.addEventListener("click", () => detail.showOf(move.rows, at, $("suggestions"), {
    text: (shown) => (refused.has(shown) ? "Let it move" : "Leave it where it is"),
    act: (shown) => { refuse(shown); },
  }));
  no.addEventListener("click", () => refuse(row));
  return one;
}

function refuse(row) {
  if (!refused.delete(row)) refused.add(row);
  for (const one of $("moves").querySelectorAll(`.one[data-row="${row}"]`)) paint(one);
  tally();
}

function paint(one) {
  const out = refused.has(Number(one.dataset.row));
  one.classList.toggle("refused", out);
  one.querySelector(".no").setAttribute("aria-pressed", out);
}

const wanted = () => [...$("moves").querySelectorAll("input:checked")].map((box) => Number(box.value));

function tally() {
  const staying = (rows) => rows.reduce((sum, row) => sum + refused.has(row), 0);
  const count = wanted().reduce((sum, at) => sum + suggested.moves[at].count - staying(suggested.moves[at].rows), 0);
  $("accept").textContent = count ? `Accept: move ${plural(count, "picture")}` : "Accept";
  $("accept").disabled = count === 0;
  $("accept").hidden = suggested.moves.length === 0;
}

$("accept").addEventListener("click", async () => {
  const moves = wanted();
  $("suggestions").close();
  $("offer").hidden = true;
  const done = await edit({ do: "accept", version: suggested.version, moves, without: [...refused] });
  if (done) heard.say(`${plural(done.moved, "picture")} moved. z undoes it.`);
});
$("suggestions-open").addEventListener("click", open);
$("offer-look").addEventListener("click", open);
$("offer-no").addEventListener("click", () => {
  declined = run.corrections;
  $("offer").hidden = true;
  $("grid").focus({ preventScroll: true });
});
// a picture that was shown large may have been corrected: then other moves are suggested
$("detail").addEventListener("close", () => {
  if (!$("suggestions").open || run.version === suggested.version) return;
  const unticked = [...$("moves").querySelectorAll("input:not(:checked)")].map((box) => titled(suggested.moves[box.value]));
  ask(new Set(unticked));
});
