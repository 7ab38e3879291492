// The run as the server knows it, and the edits on their way there. Other modules read `run` and call
// `place`, `edit` and `ask`; they hear "change" (shelves), "saved" and "trouble" from `news`.

export const MODEL = 0, PERSON = 1, LEARNT = 2;
export const OTHER = "other";
export const news = new EventTarget();

export const run = {
  size: 0, version: -1, paths: [], stacks: [], facts: {},
  columns: new Uint16Array(0), p: new Uint8Array(0), by: new Uint8Array(0),  // a picture each
  names: [], words: [], boldness: 0, edits: 0, marks: 0, undoable: false, progress: { state: "planned" },
  pending: 0,
};

const tell = (name, detail) => news.dispatchEvent(new CustomEvent(name, { detail }));

async function get(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).error ?? "The server didn't answer.");
  return answer;
}

/** A question to the server, as JSON; null where it was refused, which is said. */
export async function ask(address) {
  try { return await (await get(address)).json(); } catch (trouble) { tell("trouble", trouble.message); return null; }
}

export async function load() {
  const [known] = await Promise.all([get("pictures").then((a) => a.json()), everything()]);
  run.paths = known.paths; run.stacks = Int32Array.from(known.stacks); run.facts = known.facts;
  await sync();
  const changes = new EventSource("changes");
  changes.onmessage = () => sync();
  changes.onerror = () => tell("lost");
}

async function everything() {
  const bytes = await (await get("columns")).arrayBuffer();
  const [size, version] = new Uint32Array(bytes, 0, 2);
  run.size = size; run.version = version;
  run.columns = new Uint16Array(bytes.slice(8, 8 + 2 * size));
  run.p = new Uint8Array(bytes.slice(8 + 2 * size, 8 + 3 * size));
  run.by = new Uint8Array(bytes.slice(8 + 3 * size));
}

let syncing = null, again = false;

/** What happened since, from this tab or another. One at a time. */
export function sync() {
  if (syncing) { again = true; return syncing; }
  syncing = (async () => {
    try {
      do { again = false; await take(await (await get(`state?since=${run.version}`)).json()); } while (again);
      tell("found");
    } catch { tell("lost"); } finally { syncing = null; }
  })();
  return syncing;
}

async function take(now) {
  const old = run.version;
  let rows = [];
  if (now.changed === null) await everything();
  else if (now.version > run.version) {
    rows = now.changed.rows;
    rows.forEach((row, i) => {
      run.columns[row] = now.changed.columns[i]; run.p[row] = now.changed.probabilities[i]; run.by[row] = now.changed.by[i];
    });
    run.version = now.version;
  }
  run.names = now.shelves; run.words = now.words; run.boldness = now.boldness;
  run.edits = now.edits; run.marks = now.marks; run.undoable = now.undoable;
  const moved = JSON.stringify(now.progress) !== JSON.stringify(run.progress);
  run.progress = now.progress;
  if (now.changed === null || now.version !== old) tell("change", { rows });
  tell("saved");
  if (moved) tell("progress");
}

// --- edits: shown at once, confirmed when they are on the disk ------------------------------------

let line = Promise.resolve();

/** Send one edit after those before it. The answer, or null where it was refused, which is said. */
export function edit(what) {
  run.pending += 1;
  tell("saved");
  const sent = line.then(async () => {
    try {
      const answer = await fetch("edit", { method: "POST", body: JSON.stringify(what) });
      const given = await answer.json();
      if (!answer.ok) throw new Error(given.error);
      if (what.do === "place" && given.version === run.version + 1) {  // nothing new for this tab
        run.version = given.version; run.edits = given.edits; run.undoable = true;
      } else await sync();
      return given;
    } catch (trouble) {
      tell("trouble", trouble instanceof TypeError
        ? "The server is gone: start `zeroshelf review` again. This edit was not kept." : trouble.message);
      run.version = -1;  // what was shown in advance may be wrong
      await sync();
      return null;
    } finally { run.pending -= 1; tell("saved"); }
  });
  line = sent.catch(() => {});
  return sent;
}

/** A person's word: these pictures belong on that shelf. */
export function place(rows, column) {
  for (const row of rows) {
    if (run.by[row] !== PERSON) run.marks += 1;
    run.columns[row] = column; run.p[row] = 255; run.by[row] = PERSON;
  }
  tell("change", { rows, mine: true });
  return edit({ do: "place", rows: Array.from(rows), shelf: run.names[column] });
}

export function confidence(row) {
  if (run.by[row] === PERSON) return "yours";
  const p = run.p[row] / 255;
  return p >= run.facts.sure ? "sure" : p >= run.facts.likely ? "likely" : "unsure";
}

/** What has a smaller `p` is unsure. */
export const unsureBelow = () => Math.ceil(run.facts.likely * 255);

export const spokenConfidence = (row) =>
  run.by[row] === PERSON ? "placed by you" : run.by[row] === LEARNT ? "learnt from you" : confidence(row);
