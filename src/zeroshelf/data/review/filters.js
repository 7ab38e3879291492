// Filters by when, with what and where a picture was taken. The files are read once the filters are opened.

import { during, request, run } from "./state.js";
import { $, number } from "./words.js";

export const heard = { change() {} };  // set by the page

const FIELDS = ["taken", "camera", "place"];
const NONE = "none";
const WITHOUT = { taken: "without a date", camera: "without a camera", place: "without a place" };
let facts = null, reading = false;

const chosen = (field) => (facts ? $(`filter-${field}`).value : "");

/** A test of rows, as the filters are set; null where all pictures pass. */
export function test() {
  const tests = FIELDS.filter(chosen).map((field) => {
    const { values, rows } = facts[field], value = chosen(field);
    if (value === NONE) return (row) => rows[row] < 0;
    const year = field === "taken" && value.length === 4;
    const fits = values.map((one) => (year ? one.startsWith(`${value}-`) : one === value));
    return (row) => rows[row] >= 0 && fits[rows[row]];
  });
  return tests.length ? (row) => tests.every((one) => one(row)) : null;
}

/** What the filters are set to, for the line about the pictures. */
export const said = () => FIELDS.filter(chosen).map((field) => (chosen(field) === NONE ? WITHOUT[field] : chosen(field)));

export function clear() {
  for (const field of FIELDS) $(`filter-${field}`).value = "";
  heard.change();
}

async function open() {
  const now = $("filters").hidden;
  $("filters").hidden = !now;
  $("filter-open").setAttribute("aria-expanded", now);
  if (now && !facts && !reading) await read();
}

/** Ask until all files are read; say how far that is. */
async function read() {
  reading = true;
  await during("Reading dates, cameras and places \u2026", (async () => {
    for (;;) {
      const given = await request("photo-facts");
      if (!given) break;
      if (given.taken) { facts = given; break; }
      $("filter-says").textContent = `Reading the files: ${number(given.done)} of ${number(given.total)}`;
      await new Promise((done) => setTimeout(done, 300));
    }
  })());
  reading = false;
  if (!facts) return;
  for (const field of FIELDS) fill(field);
  $("filter-says").textContent = FIELDS.every((field) => !facts[field].values.length)
    ? "No file says when, with what or where it was taken." : "";
}

function fill(field) {
  const { values, rows } = facts[field], tally = new Map();
  let without = 0;
  for (let row = 0; row < run.size; row += 1) {
    if (rows[row] < 0) without += 1; else tally.set(values[rows[row]], (tally.get(values[rows[row]]) ?? 0) + 1);
  }
  const option = (value, count, text = value) => new Option(`${text} (${number(count)})`, value);
  const some = [];
  if (field === "taken") {
    const years = new Map();
    for (const month of values) years.set(month.slice(0, 4), (years.get(month.slice(0, 4)) ?? 0) + tally.get(month));
    for (const [year, count] of [...years].reverse()) {
      some.push(option(year, count));
      for (const month of values) if (month.startsWith(`${year}-`)) some.push(option(month, tally.get(month), `\u2003${month}`));
    }
  } else some.push(...values.map((value) => option(value, tally.get(value))).sort((a, b) => tally.get(b.value) - tally.get(a.value)));
  if (without && values.length) some.push(option(NONE, without, WITHOUT[field]));
  $(`filter-${field}`).replaceChildren(new Option("any", ""), ...some);
  $(`filter-${field}`).disabled = values.length === 0;
}

for (const field of FIELDS) $(`filter-${field}`).addEventListener("change", () => heard.change());
$("filter-clear").addEventListener("click", clear);
$("filter-open").addEventListener("click", open);
