// The run as the server knows it, and the edits on their way there. Other modules read `run` and call
// `place`, `edit` and `request`; they hear "change" (shelves), "saved" and "trouble" from `news`.

import { plural } from "./words.js";

export const MODEL = 0, USER = 1, SUGGESTION = 2;  // who or what chose a picture's shelf
export const OTHER = "other";
export const ALL = "/all", UNSURE = "/unsure", ALIKE = "/alike";  // looks beside the shelves: no label begins with a slash
export const news = new EventTarget();

export const run = {
  size: 0, version: -1, paths: [], stacks: [], facts: {},
  columns: new Uint16Array(0), p: new Uint8Array(0), by: new Uint8Array(0),  // a picture each
  names: [], words: [], offset: 0, closed: false, edits: 0, corrections: 0, undoable: false, putAway: [], kind: "copy", progress: { state: "planned" },
  making: null,  // while the server makes what changes are decided with: stage, done, of how many
  pending: 0, lost: false,  // lost: the server does not answer
};

const tell = (name, detail) => news.dispatchEvent(new CustomEvent(name, { detail }));

async function get(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).error ?? "The server didn't answer.");
  return answer;
}

/** A request to the server -> its JSON; null if it was refused, which is shown. `doing` is said while it takes long. */
export async function request(address, doing = "") {
  return during(doing, (async () => {
    try { return await (await get(address)).json(); } catch (trouble) { tell("trouble", trouble.message); return null; }
  })());
}

const PATIENCE = 250;  // ms after which the page says that it is at work
const works = new Map();  // what is being done -> how many times

/** Say `what` on the page from a moment on until `work` ends. */
export async function during(what, work) {
  if (!what) return work;
  let begun = false;
  const later = setTimeout(() => { begun = true; works.set(what, (works.get(what) ?? 0) + 1); tell("working", [...works.keys()]); }, PATIENCE);
  try { return await work; } finally {
    clearTimeout(later);
    if (begun) {
      if (works.get(what) > 1) works.set(what, works.get(what) - 1); else works.delete(what);
      tell("working", [...works.keys()]);
    }
  }
}

export async function load() {
  const [known] = await Promise.all([get("pictures").then((a) => a.json()), everything()]);
  run.paths = known.paths; run.facts = known.facts;
  run.stacks = Int32Array.from({ length: known.paths.length }, (_, row) => row);
  for (let i = 0; i < known.stacks.length; i += 2) run.stacks[known.stacks[i]] = known.stacks[i + 1];
  await sync();
  const changes = new EventSource("changes");
  changes.onmessage = () => sync();
  changes.onerror = () => lost(true);
}

function lost(now) {
  run.lost = now;
  tell("saved");
}

async function everything() {
  const bytes = await (await get("columns")).arrayBuffer();
  const [size, version] = new Uint32Array(bytes, 0, 2);
  return {
    size, version,
    columns: new Uint16Array(bytes.slice(8, 8 + 2 * size)),
    p: new Uint8Array(bytes.slice(8 + 2 * size, 8 + 3 * size)),
    by: new Uint8Array(bytes.slice(8 + 3 * size)),
  };
}

const RETRY = 2000;  // ms after which a server that did not answer is asked again
let retry = 0, syncing = null, again = false, behind = false;

/** What happened since, from this tab or another. One at a time. */
export function sync() {
  if (syncing) { again = true; return syncing; }
  syncing = (async () => {
    try {
      do { again = false; await take(); } while (again);
      lost(false);
    } catch { lost(true); clearTimeout(retry); retry = setTimeout(sync, RETRY); } finally { syncing = null; }
  })();
  return syncing;
}

/** Take over the server's state. It lacks edits of this tab that are on their way: wait for them. */
async function take() {
  const since = run.version, now = await (await get(`state?since=${since}`)).json();
  const whole = now.changed === null ? await everything() : null;
  behind = run.pending > 0;
  if (behind || now.version < run.version) return;
  if (whole ? whole.version !== now.version : run.version < since) { again = true; return; }  // something came between
  const fresh = whole || now.version !== run.version, rows = whole ? [] : now.changed.rows;
  if (whole) Object.assign(run, whole);
  rows.forEach((row, i) => {
    run.columns[row] = now.changed.columns[i]; run.p[row] = now.changed.probabilities[i]; run.by[row] = now.changed.by[i];
  });
  run.version = now.version;
  run.names = now.shelves; run.words = now.words; run.offset = now.offset; run.closed = now.closed;
  run.edits = now.edits; run.corrections = now.corrections; run.undoable = now.undoable; run.kind = now.kind;
  if (now.put_away.length !== run.putAway.length && !behind) { run.putAway = now.put_away; tell("put-away"); }
  const moved = JSON.stringify(now.progress) !== JSON.stringify(run.progress);
  run.progress = now.progress;
  if (JSON.stringify(now.making) !== JSON.stringify(run.making)) { run.making = now.making; tell("working", [...works.keys()]); }
  if (fresh) tell("change", { rows });
  tell("saved");
  if (moved) tell("progress");
}

// --- edits: shown at once, confirmed when they are on the disk ------------------------------------

const SLOW = {         // edits after which every picture is decided again
  add: "Looking for pictures of the new shelf \u2026", rename: "Sorting again \u2026", merge: "Sorting again \u2026",
  drop: "Sorting again \u2026", widen: "Sorting again \u2026", offset: "Sorting again \u2026", undo: "Undoing \u2026",
};
const MOST = 10_000;   // pictures that are placed by one request, if by more than one edit
const waiting = [];    // edits in their order: { what, answer }
let sending = false, alone = 0;

/** Send an edit after those before it. The answer, or null if it was refused, which is shown. */
export function edit(what) {
  run.pending += 1;
  tell("saved");
  return during(SLOW[what.do], new Promise((answer) => {
    waiting.push({ what, answer });
    if (!sending) send();
  }));
}

async function send() {
  sending = true;
  while (waiting.length) {
    const batch = waiting.splice(0, together()), placed = batch[0].what.do === "place";
    const { given, refused } = await post(batch.map(({ what }) => what));
    if (refused && batch.length > 1) {  // one of them can't be saved, the others can
      alone = batch.length;
      waiting.unshift(...batch);
      continue;
    }
    run.pending -= batch.length;
    if (given) { run.edits = given.edits; run.undoable ||= placed; }
    const known = given && placed && given.version === run.version + 1;  // this tab has it all already
    if (known) run.version = given.version;
    else if (!given) run.version = -1;  // what was shown in advance is wrong
    if (!known || behind) await sync();
    tell("saved");
    for (const { answer } of batch) answer(given);
  }
  sending = false;
}

/** How many of those that wait go in one request: placements, which keys can make faster than the disk saves them. */
function together() {
  if (alone) { alone -= 1; return 1; }
  let count = 0, rows = 0;
  while (waiting[count]?.what.do === "place" && (rows += waiting[count].what.rows.length) <= MOST) count += 1;
  return Math.max(1, count);
}

async function post(edits) {
  try {
    const answer = await fetch("edit", { method: "POST", body: JSON.stringify(edits.length > 1 ? edits : edits[0]) });
    const given = await answer.json().catch(() => ({}));
    if (answer.ok) return { given, refused: false };
    if (edits.length === 1) tell("trouble", given.error ?? "The server could not do it.");
    return { given: null, refused: true };
  } catch {
    lost(true);
    tell("trouble", `The server has stopped: start \`zeroshelf review\` again. ${plural(edits.length, "edit")} not saved.`);
    return { given: null, refused: false };
  }
}

/** The user corrects pictures: they belong on that shelf. */
export function place(rows, column) {
  for (const row of rows) {
    if (run.by[row] !== USER) run.corrections += 1;
    run.columns[row] = column; run.p[row] = 255; run.by[row] = USER;
  }
  tell("change", { rows, mine: true });
  return edit({ do: "place", rows: Array.from(rows), shelf: run.names[column] });
}

export function confidence(row) {
  if (run.by[row] === USER) return "yours";
  const p = run.p[row] / 255;
  return p >= run.facts.sure ? "sure" : p >= run.facts.likely ? "likely" : "unsure";
}

/** What has a smaller `p` is unsure. */
export const unsureBelow = () => Math.ceil(run.facts.likely * 255);

export const spokenConfidence = (row) =>
  run.by[row] === USER ? "corrected by you" : run.by[row] === SUGGESTION ? "accepted by you" : confidence(row);
