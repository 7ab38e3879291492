// The app's page. The server keeps all state; this page asks for it (`poll`) and draws what changed.

const $ = (id) => document.getElementById(id);
const english = new Intl.NumberFormat("en");
const number = (n) => english.format(n);
const plural = (n, word, many) => `${number(n)} ${n === 1 ? word : many ?? `${word}s`}`;
const bytes = (size) => (size < 1e6 ? `${Math.max(1, Math.round(size / 1e3))} kB` : size < 1e9 ? `${(size / 1e6).toFixed(size < 1e7 ? 1 : 0)} MB` : `${(size / 1e9).toFixed(1)} GB`);
const baseName = (path) => path.replace(/[\\/]+$/, "").split(/[\\/]/).pop() || path;

/** A text without characters that hide, break or turn the line around: names are not trusted. */
const visible = (text) => text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, (c) => {
  const code = c.codePointAt(0);
  if (code >= 0xdc80 && code <= 0xdcff) return "\\x" + (code - 0xdc00).toString(16);
  if (code === 0x200d || code === 0x200c) return c;  // they join the parts of an emoji or a letter
  return code < 32 ? String.fromCharCode(0x2400 + code) : "\ufffd";
});

/** An element; texts become text nodes, never HTML. */
function make(tag, name, ...children) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  element.append(...children);
  return element;
}
const bdi = (text) => make("bdi", "", visible(text));

function button(name, act, ...children) {
  const element = make("button", name, ...children);
  element.type = "button";
  element.addEventListener("click", act);
  return element;
}

function image(picture, alt = "") {
  const element = make("img");
  element.alt = alt;
  element.loading = "lazy";
  element.decoding = "async";
  element.draggable = false;
  element.src = `thumbnail/${typeof picture === "string" ? picture : picture.digest}`;
  return element;
}

// --- the server -----------------------------------------------------------------------------------

class Refused extends Error {}

async function ask(address, body) {
  let answer;
  try {
    answer = await fetch(address, body === undefined ? {} : { method: "POST", body: JSON.stringify(body) });
  } catch {
    $("lost").hidden = false;
    throw new Refused("The app does not answer.");
  }
  $("lost").hidden = true;
  const given = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(given.error ?? "The app could not do it.");
  return given;
}

/** As `ask`; what is refused is shown, and the answer is null. */
async function attempt(address, body) {
  try { return await ask(address, body); } catch (trouble) { say(trouble.message); return null; }
}

let saying = 0;
function say(text) {
  $("says").textContent = text;
  clearTimeout(saying);
  saying = setTimeout(() => { $("says").textContent = ""; }, 6000);
}

let state = { folder: null, jobs: {}, recent: [], roots: [] };
let timer = 0, asked = 0, ended = false, begun = false;  // begun: jobs that end from now on are news

/** The state, drawn; again soon while something is at work. */
async function poll() {
  clearTimeout(timer);
  if (ended) return;
  const mine = (asked += 1);
  try {
    const now = await ask("state");
    if (mine === asked) { const before = state; state = now; changed(before); }
  } catch { /* shown: it is asked again */ }
  if (mine === asked && !ended) {
    clearTimeout(timer);
    timer = setTimeout(poll, Object.values(state.jobs).some((job) => job.state === "running") ? 300 : 3000);
  }
}

const running = (...names) => names.map((kind) => state.jobs[kind]).find((job) => job?.state === "running");

// --- views ----------------------------------------------------------------------------------------

const VIEWS = ["start", "folder", "run", "runs", "models", "storage"];
let view = "", shownRun = "";

function route() {
  const [, page = "", id = ""] = location.hash.split("/");
  shownRun = page === "run" ? id : "";
  const next = { run: "run", runs: "runs", models: "models", storage: "storage" }[page] ?? (state.folder ? "folder" : "start");
  const moved = next !== view;
  view = next;
  for (const name of VIEWS) $(`view-${name}`).hidden = name !== view;
  const current = { runs: "#/runs", models: "#/models", storage: "#/storage" }[view] ?? "#/";
  for (const link of document.querySelectorAll("header nav a")) {
    if (link.getAttribute("href") === current) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (moved && document.body.dataset.ready && !document.querySelector("dialog[open]")) {
    document.querySelector(`#view-${view} h1`).focus({ preventScroll: true });
    scrollTo(0, 0);
  }
  drawBar();
}

async function look() {
  route();
  document.body.dataset.view = "";
  if (view === "start") { drawStart(); await loadLately(); }
  if (view === "folder") { drawFolder(); await loadLabels(); }
  if (view === "run") await loadRun();
  if (view === "runs") await loadRuns();
  if (view === "models") await loadModels();
  if (view === "storage") await loadStorage();
  document.body.dataset.view = view;
}
addEventListener("hashchange", look);

/** What has changed since `before`: jobs that ended, a folder that was opened here or elsewhere. */
function changed(before) {
  for (const [kind, job] of Object.entries(begun ? state.jobs : {})) {
    const known = before.jobs[kind];  // a short job was never seen at work
    if (job.state !== "running" && (known?.number !== job.number || known.state === "running")) finished(kind, job);
  }
  begun = true;
  const other = before.folder?.path !== state.folder?.path;
  if (other) labels = null;
  if (other && (view === "start" || view === "folder")) { look(); return; }
  if (view === "start") drawStart();
  if (view === "folder") { drawFolder(); if (state.folder.ready && labels?.version !== state.folder.version) loadLabels(); }
  if (view === "run") drawProgress();
  if (view === "models") drawDownload();
  drawBar();
}

function finished(kind, job) {
  if (job.state === "failed") say(job.error);
  if (kind === "plan") {
    planned();
    if (job.state === "done" && view === "folder") location.hash = `#/run/${job.result}`;
  }
  if (kind === "apply" || kind === "undo") toldRun(job);
  if (kind === "model" && view === "models") loadModels();
  if (kind === "cache" && view === "storage") loadStorage();
  if (kind === "model" && job.state === "done") say("The model is here. Choose \u201cUse this\u201d to sort with it.");
}

/** Say how an apply or undo ended: by the run itself, since files may have been left alone. */
async function toldRun(job) {
  if (view === "run" && job.about === shownRun) await loadRun();
  if (view === "start") await loadLately();
  if (job.state !== "done") return;
  const now = view === "run" && run?.id === job.about ? run : await attempt(`runs/${job.about}`);
  if (now) say({ applied: "Done. Undo brings everything back.", undone: "Everything is back where it was." }[now.state] ?? `Not everything was done: ${plural(now.left_alone_count, "file was", "files were")} left alone.`);
}

// --- start ----------------------------------------------------------------------------------------

/** The newest runs, below the folders. */
async function loadLately() {
  const given = await attempt("runs?count=5");
  if (!given) return;
  $("lately-part").hidden = !given.runs.length;
  $("lately").replaceChildren(...given.runs.map(runRow));
}

let recentDrawn = "";
function drawStart() {
  const now = JSON.stringify(state.recent);
  if (now === recentDrawn) return;
  recentDrawn = now;
  $("steps").hidden = state.recent.length > 0;
  $("recent-part").hidden = state.recent.length === 0;
  $("recent").replaceChildren(...state.recent.map((path) => {
    const open = button("what", () => openFolder(path), make("b", "", bdi(baseName(path))), make("span", "quiet", bdi(path)));
    const away = button("link", () => forget(path), "Forget");
    away.setAttribute("aria-label", `Forget ${visible(path)}`);
    return make("li", "", open, away);
  }));
}

async function forget(path) {
  await attempt("forget", { path });
  await poll();
}

async function openFolder(path) {
  if (!(await attempt("open", { path }))) return false;
  location.hash = "#/";
  await poll();
  await look();
  return true;
}

// --- choosing a folder ----------------------------------------------------------------------------

let browsed = null, useFolder = () => {};

function browse(title, from, use) {
  useFolder = use;
  $("browse-name").textContent = title;
  if (!$("browse").open) $("browse").showModal();
  goTo(from);
}

async function goTo(path) {
  $("browse-trouble").textContent = "";
  try { browsed = await ask(`folders?path=${encodeURIComponent(path)}`); } catch (trouble) { $("browse-trouble").textContent = trouble.message; if (!browsed) goTo(""); return; }
  $("browse-path").value = browsed.path;
  $("browse-roots").replaceChildren(...(browsed.roots.length > 1 ? browsed.roots.map((root) => button("chip small", () => goTo(root), bdi(baseName(root)))) : []));
  const rows = browsed.folders.map((folder) => make("li", "", button("", () => goTo(folder.path), bdi(folder.name))));
  if (browsed.above) rows.unshift(make("li", "", button("up", () => goTo(browsed.above), "One folder up")));
  if (!browsed.folders.length) rows.push(make("li", "empty", "No folders in it."));
  if (browsed.cut) rows.push(make("li", "empty", "It has more folders than are listed: type the path above."));
  $("browse-list").replaceChildren(...rows);
  $("browse-list").scrollTop = 0;
  $("browse-says").textContent = browsed.pictures ? `${plural(browsed.pictures, "picture")} right in it` : "";
  ($("browse-list").querySelector("button") ?? $("browse-use")).focus({ preventScroll: true });
}
$("browse-go").addEventListener("submit", (event) => { event.preventDefault(); goTo($("browse-path").value.trim()); });
$("browse-use").addEventListener("click", async () => {
  if (!browsed) return;
  if ((await useFolder(browsed.path)) !== false) $("browse").close();
});
const chooseFolder = () => browse("Choose a folder of pictures", state.folder?.path ?? state.recent[0] ?? "", openFolder);
$("choose").addEventListener("click", chooseFolder);
$("another").addEventListener("click", chooseFolder);

// --- the folder -----------------------------------------------------------------------------------

const STAGES = {
  reading: "Reading pictures", preparing: "Getting ready", texts: "Getting ready", deciding: "Getting ready", scoring: "Getting ready", labels: "Getting ready",
  comparing: "Looking for words", grouping: "Looking for words", suggesting: "Looking for words", calibrating: "Getting ready", embedding: "Getting ready",
};
let latestDrawn = "";

function drawFolder() {
  const folder = state.folder;
  if (!folder) return;
  const looking = running("look"), reading = running("read"), failed = ["look", "read"].map((kind) => state.jobs[kind]).find((job) => job?.state === "failed");
  $("folder-name").textContent = visible(baseName(folder.path));
  $("folder-path").textContent = visible(folder.path);
  $("folder-busy").hidden = !looking && !failed;
  $("folder-busy").classList.toggle("warn", Boolean(failed));
  $("folder-busy").classList.toggle("busy", !failed);
  $("folder-busy").textContent = failed ? visible(failed.error) : "Looking what is in it \u2026";
  $("contents").hidden = $("untag-part").hidden = !folder.found;
  $("contents").classList.toggle("brief", folder.ready);
  if (folder.found) drawContents(folder);
  $("read-part").hidden = !folder.found || !folder.found.pictures || folder.ready || Boolean(reading);
  $("read").textContent = folder.read ? "Go on reading" : "Read the pictures";
  $("reading").hidden = !reading || folder.ready;
  if (reading) {
    const what = STAGES[reading.stage] ?? "Getting ready";
    $("read-says").textContent = reading.stage === "reading" ? `${what}: ${number(reading.done)} of ${number(reading.total)}` : `${what} \u2026`;
    meter($("read-bar"), reading.stage === "reading" ? reading : { done: 0, total: 0 });
  }
  const latest = folder.latest.slice().reverse();
  if (latest.join() !== latestDrawn) { latestDrawn = latest.join(); $("latest").replaceChildren(...latest.map((digest) => make("li", "", image(digest)))); }
  $("labelling").hidden = !folder.ready;
  $("suggesting").hidden = !(folder.ready && reading);
  document.body.dataset.folder = folder.ready ? "ready" : "";
}

function meter(bar, { done, total }) {
  if (total) { bar.max = total; bar.value = done; } else bar.removeAttribute("value");
}

function drawContents({ found, warnings }) {
  $("contents-says").textContent = `${plural(found.pictures, "picture")}, ${bytes(found.bytes)}${found.folders > 1 ? `, in ${plural(found.folders, "folder")}` : ""}`;
  const formats = Object.entries(found.formats).map(([kind, count]) => `${number(count)} ${kind}`).join(", ");
  $("contents-lines").replaceChildren(...[
    formats, found.with_them ? `${plural(found.with_them, "file")} that belong to them go with them (RAW, sidecars, live videos)` : "", ...found.lines, ...warnings,
  ].filter(Boolean).map((line) => make("li", "", visible(line))));
  $("unread").hidden = !found.not_read;
  $("unread").querySelector("summary").textContent = `${plural(found.not_read, "file")} can't be read`;
  $("unread").querySelector("ul").replaceChildren(...found.skipped.map(([path, reason]) => make("li", "", bdi(path), `: ${visible(reason)}`)));
}

$("read").addEventListener("click", async () => { await attempt("read", {}); await poll(); });
$("untag").addEventListener("click", async () => { if (await attempt("untag", {})) { say("Looking for tags \u2026"); await poll(); } });
$("read-stop").addEventListener("click", async () => { await attempt("stop", { kind: "read" }); await poll(); });

// --- labels ---------------------------------------------------------------------------------------

let labels = null;      // as the server gave them last
let sending = 0;        // answers to earlier changes are not drawn
let wanted = null;      // what was sent last and is not answered

async function loadLabels() {
  if (!state.folder?.ready) return;
  const mine = sending, given = await attempt("labels");
  if (given && mine === sending) { labels = given; drawLabels(); }
}

const current = () => wanted ?? Object.fromEntries((labels?.labels ?? []).map((one) => [one.name, one.words]));

/** Sort by other labels; they are drawn when the pictures are on their shelves. */
async function setLabels(next, closed = labels?.closed ?? false) {
  const mine = (sending += 1);
  wanted = next;
  $("shelves").setAttribute("aria-busy", "true");
  const given = await attempt("labels", { labels: next, closed });
  if (mine !== sending) return;
  wanted = null;
  $("shelves").removeAttribute("aria-busy");
  if (given) { labels = given; if (state.folder) state.folder.version = given.version; }
  drawLabels();
}

function addLabel(text) {
  const [name, ...more] = text.split(/[=,;]/).map((part) => part.trim()).filter(Boolean);
  if (!name) return;
  const words = text.includes("=") ? more : [];
  const now = { ...current(), [name]: words };
  if (!text.includes("=")) for (const one of more) now[one] ??= [];  // "dog, cat": two shelves
  setLabels(now);
}

function addWords(name, words) {
  const now = current();
  setLabels({ ...now, [name]: [...new Set([...(now[name] ?? []), ...words])] });
}

function removeWord(name, word) {
  const now = current();
  setLabels({ ...now, [name]: now[name].filter((one) => one !== word) });
}

function removeLabel(name) {
  const now = { ...current() };
  delete now[name];
  setLabels(now);
}

function suggestion({ name, guess, count, pictures = [] }) {
  const picture = pictures.length ? [image(pictures[0])] : [];
  const doubt = guess ? [make("span", "count", "perhaps")] : [];
  const chip = button("chip", () => addLabel(name), ...picture, ...doubt, bdi(name), make("span", "count", number(count)));
  chip.setAttribute("aria-label", `Add the shelf ${visible(name)}, about ${plural(count, "picture")}`);
  chip.draggable = true;
  chip.dataset.key = `suggested ${name}`;
  chip.addEventListener("dragstart", (event) => event.dataTransfer.setData("text/plain", name));
  return make("li", "", chip);
}

const isClosed = () => labels.closed && labels.labels.length > 1;

function drawLabels() {
  const focused = document.activeElement?.dataset?.key;
  $("suggested-part").hidden = !labels.suggested.length;
  $("suggested").replaceChildren(...labels.suggested.map(suggestion));
  $("shelves").replaceChildren(...labels.labels.map(card), ...(labels.other && labels.labels.length && !isClosed() ? [otherCard(labels.other)] : []));
  $("closed-part").hidden = labels.labels.length < 2;
  $("closed").checked = labels.closed;
  const again = focused && [...document.querySelectorAll("[data-key]")].find((one) => one.dataset.key === focused);
  if (again) again.focus({ preventScroll: true });
  else if (focused) $("add-word").focus({ preventScroll: true });
  document.body.dataset.version = labels.version;
  drawBar();
}

function thumbs(shelf) {
  if (!shelf.count) return make("p", "none", "No picture yet.");
  const open = button("thumbs", () => openShelf(shelf.name), ...shelf.pictures.slice(0, 12).map((one) => image(one)));
  open.setAttribute("aria-label", `Show all pictures on ${visible(shelf.name)}`);
  open.dataset.key = `show ${shelf.name}`;
  return open;
}

function card(shelf) {
  const away = button("away", () => removeLabel(shelf.name), "\u2715");
  away.setAttribute("aria-label", `Remove the shelf ${visible(shelf.name)}`);
  away.dataset.key = `remove ${shelf.name}`;
  const head = make("div", "head", make("h3", "", bdi(shelf.name)), make("span", "count", plural(shelf.count, "picture"), shelf.unsure ? `, ${number(shelf.unsure)} unsure` : ""), away);
  const li = make("li", "", head, thumbs(shelf));
  li.dataset.name = shelf.name;
  if (shelf.problem) li.append(make("p", "problem", visible(shelf.problem[0].toUpperCase() + shelf.problem.slice(1)), ". Another word for it may help."));
  if (shelf.words.length) {
    li.append(make("p", "also", make("span", "quiet", "Counts too:"), ...shelf.words.map((word) => {
      const off = button("chip set small", () => removeWord(shelf.name, word), bdi(word), " \u2715");
      off.setAttribute("aria-label", `Don't count ${visible(word)} as ${visible(shelf.name)}`);
      off.dataset.key = `word ${shelf.name} ${word}`;
      return off;
    })));
  }
  if (shelf.synonyms.length) {
    li.append(make("p", "also", make("span", "quiet", "Also count:"), ...shelf.synonyms.map((word) => {
      const on = button("chip small", () => addWords(shelf.name, [word]), "+ ", bdi(word));
      on.setAttribute("aria-label", `Count ${visible(word)} as ${visible(shelf.name)}`);
      on.dataset.key = `also ${shelf.name} ${word}`;
      return on;
    })));
  }
  return li;
}

function otherCard(shelf) {
  const li = make("li", "other", make("div", "head", make("h3", "", "other"), make("span", "count", plural(shelf.count, "picture"))), thumbs(shelf));
  li.dataset.name = "other";
  if (shelf.count) li.querySelector(".head").after(make("p", "quiet", "What fits none of the shelves."));
  for (const { label, words, count } of shelf.to_add) {
    li.append(make("p", "", `${plural(count, "picture")} look${count === 1 ? "s" : ""} like `, bdi(words.join(", ")), ": ", button("link", () => addWords(label, words), "count as ", bdi(label))));
  }
  if (shelf.looks_like.length) {
    li.append(make("p", "also", make("span", "quiet", "Looks mostly like:"), ...shelf.looks_like.map(({ name, count }) => {
      const on = button("chip small", () => addLabel(name), "+ ", bdi(name), make("span", "count", number(count)));
      on.setAttribute("aria-label", `Add the shelf ${visible(name)}`);
      on.dataset.key = `looks ${name}`;
      return on;
    })));
  }
  return li;
}

$("closed").addEventListener("change", () => setLabels(current(), $("closed").checked));
$("add").addEventListener("submit", (event) => {
  event.preventDefault();
  addLabel($("add-word").value);
  $("add-word").value = "";
});
for (const place of [$("shelves"), $("add")]) {
  place.addEventListener("dragover", (event) => { event.preventDefault(); $("shelves").classList.add("over"); });
  place.addEventListener("dragleave", () => $("shelves").classList.remove("over"));
  place.addEventListener("drop", (event) => {
    event.preventDefault();
    $("shelves").classList.remove("over");
    addLabel(event.dataTransfer.getData("text/plain").slice(0, 200));
  });
}

let pages = { name: "", shown: 0, count: 0 };

async function openShelf(name) {
  pages = { name, shown: 0, count: 0 };
  $("shelf-pictures").replaceChildren();
  await moreOfShelf();
  if (!$("shelf").open) $("shelf").showModal();
}

async function moreOfShelf() {
  const given = await attempt(`shelf?name=${encodeURIComponent(pages.name)}&start=${pages.shown}`);
  if (!given || given.name !== pages.name) return;
  pages.shown += given.pictures.length;
  $("shelf-name").textContent = `${visible(given.name)}: ${plural(given.count, "picture")}`;
  $("shelf-pictures").append(...given.pictures.map((one) => make("li", "", image(one, ""), make("span", "", bdi(one.name)))));
  $("shelf-more").hidden = pages.shown >= given.count;
}
$("shelf-more").addEventListener("click", moreOfShelf);

// --- the plan -------------------------------------------------------------------------------------

function drawBar() {
  const shown = view === "folder" && Boolean(state.folder?.ready) && Boolean(labels?.labels.length);
  $("bar").hidden = !shown;
  if (!shown) return;
  const planning = running("plan"), put = labels.labels.reduce((sum, one) => sum + one.count, 0);
  $("bar-says").textContent = planning ? "Making the plan \u2026" : `${number(put)} on ${plural(labels.labels.length, "shelf", "shelves")}${isClosed() ? "" : `, ${number(labels.other.count)} in other`}`;
  $("continue").disabled = Boolean(planning);
}

$("continue").addEventListener("click", async () => {
  const given = await attempt("actions");
  if (!given) return;
  const before = new FormData($("plan-form")).get("action") ?? "copy", first = [], more = [];
  for (const action of given.actions) (FIRST.includes(action.name) ? first : more).push(choice(action, before));
  $("plan-actions").replaceChildren($("plan-actions").firstElementChild, ...first);
  $("plan-other-actions").replaceChildren($("plan-other-actions").firstElementChild, ...more);
  $("plan-ways").open = !FIRST.includes(before);
  $("plan-files").disabled = !given.in_files;
  $("plan-to").value = given.destination;
  $("plan-trouble").textContent = "";
  $("plan-make").disabled = false;
  drawChoices();
  $("planning").showModal();
  ($("planning").querySelector("input:checked") ?? $("plan-actions").querySelector("input")).focus();
});

const FIRST = ["copy", "move", "symlink", "tag"];  // the others are folded away
const NO_SHELVES = ["tag", "trash"], SEVERAL = ["copy", "symlink", "relative-symlink", "hardlink", "tag"];

function choice(action, chosen) {
  const radio = make("input");
  radio.type = "radio";
  radio.name = "action";
  radio.value = action.name;
  radio.checked = action.name === chosen && !action.why_not;
  radio.disabled = Boolean(action.why_not);
  radio.addEventListener("change", drawChoices);
  const says = action.why_not ? `Not here: ${visible(action.why_not)}` : MEANINGS[action.name] ?? action.meaning;
  return make("label", action.why_not ? "off" : "", radio, make("span", "", make("b", "", action.choice), make("span", "", says)));
}

/** Only those choices that the chosen action has. */
function drawChoices() {
  const action = new FormData($("plan-form")).get("action");
  $("plan-where").hidden = $("plan-path-part").hidden = NO_SHELVES.includes(action);
  $("plan-several-part").hidden = !SEVERAL.includes(action);
  $("plan-keep-part").hidden = action === "move" || action === "trash";
  $("plan-files-part").hidden = action !== "tag" || $("plan-files").disabled;
}

const MEANINGS = {
  copy: "The pictures stay where they are; each shelf gets a copy.",
  move: "The pictures leave their folder and lie on their shelf.",
  symlink: "The shelves get links to the pictures, which stay. Takes no space.",
  tag: "The label is written beside each picture, for other photo programs. Nothing is moved.",
  "relative-symlink": "As links, but they still lead to the pictures when both folders are moved together.",
  hardlink: "The shelves get second names of the same files, on the same drive. Takes no space; what is edited in one place changes in both.",
};

$("plan-browse").addEventListener("click", () => browse("Where shall the shelves be?", state.folder.path, (path) => { $("plan-to").value = path; }));
$("plan-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const action = new FormData($("plan-form")).get("action"), destination = $("plan-where").hidden ? "" : $("plan-to").value.trim();
  $("plan-trouble").textContent = "";
  $("plan-make").disabled = true;
  const asked = { action, destination, shelf_path: $("plan-path").value, ambiguous: $("plan-between").checked ? "ambiguous" : "",
    several: $("plan-several").checked && !$("plan-several-part").hidden, keep_earlier: $("plan-keep").checked, in_files: $("plan-files").checked && !$("plan-files-part").hidden };
  try { await ask("plan", asked); } catch (trouble) {
    $("plan-trouble").textContent = trouble.message;
    $("plan-make").disabled = false;
    return;
  }
  $("planning").close();
  await poll();
});

/** The plan's job has ended. */
function planned() { drawBar(); }

// --- a run ----------------------------------------------------------------------------------------

const STATES = { planned: ["not carried out yet", "wait"], applied: ["done", "good"], partly: ["partly done", "wait"], undone: ["undone", ""], newer: ["made by a newer version", ""] };
const day = (when) => new Date(when).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
const DOING = { applying: "Working", undoing: "Putting back", opening: "Opening" };
let run = null;

async function loadRun() {
  const id = shownRun;
  run = null;
  try {
    const given = await ask(`runs/${encodeURIComponent(id)}`);
    if (id !== shownRun) return;
    run = given;
  } catch (trouble) { say(trouble.message); }
  drawRun();
}

const has = (n, one, many) => `${plural(n, "picture")} ${n === 1 ? one : many}`;

function drawRun() {
  $("run-acts").hidden = $("run-table").hidden = !run;
  if (!run) { $("run-name").textContent = "This run can't be opened"; $("run-says").textContent = $("run-when").textContent = $("run-state").textContent = ""; $("run-notes").replaceChildren(); return; }
  const [words, look] = STATES[run.state] ?? [run.state, ""];
  $("run-name").textContent = { planned: "The plan", undone: "The plan", applied: "Done", partly: "Not finished" }[run.state] ?? "A run";
  $("run-when").textContent = `${visible(baseName(run.folder))}, ${day(run.when)}`;
  $("run-state").textContent = words;
  $("run-state").className = `badge ${look}`;
  $("run-says").replaceChildren(...sentence());
  const open = run.state === "planned" || run.state === "undone";
  $("run-review").hidden = !run.may_review;
  $("run-review").href = `review/${run.id}/`;
  $("run-report").hidden = $("run-table-file").hidden = !run.report;
  $("run-report").href = `runs/${run.id}/report.html`;
  $("run-table-file").href = `runs/${run.id}/results.csv`;
  $("run-apply").hidden = run.state === "applied";
  const back = run.begun === "undo";  // what was not finished is an undo
  $("run-apply").textContent = run.state === "partly" ? (back ? "Do it all again" : "Go on") : `${own()?.choice ?? "Apply"}: ${plural(run.pictures, "picture")}`;
  $("run-apply").className = `${back ? "plain" : "main"} large`;
  $("run-undo").hidden = open;
  $("run-undo").textContent = back ? "Go on putting back" : "Undo: put everything back";
  $("run-undo").className = `${back ? "main" : "plain"} large`;
  $("run-remove").hidden = !open;
  $("run-labels").hidden = !open || state.folder?.path !== run.folder;
  $("run-table").querySelector("tbody").replaceChildren(...run.shelves.map(({ name, count }) => make("tr", "", make("td", "", bdi(name)), make("td", "", number(count)))));
  $("run-notes").replaceChildren(...run.notes.map((note) => make("li", "", visible(note))));
  $("run-trouble").hidden = !run.left_alone_count;
  $("run-trouble").querySelector("p").textContent = `${plural(run.left_alone_count, "file")} left alone:`;
  $("run-trouble").querySelector("ul").replaceChildren(...run.left_alone.map(([path, reason]) => make("li", "", bdi(baseName(path)), `: ${visible(reason)}`)));
  drawProgress();
  document.body.dataset.run = `${run.id} ${run.state}`;
}

const own = () => run.actions.find((action) => action.name === run.kind);

/** What will happen or has happened, in words and numbers. */
function sentence() {
  const kind = own(), parts = [], along = run.with_them ? `, and ${plural(run.with_them, "file")} that belong to them` : "";
  const where = kind?.needs_destination === "" ? [] : [" to shelves in ", bdi(run.destination)];
  const does = kind?.done ?? run.kind;
  if (run.kind === "untag" && run.state !== "partly") parts.push(`The tags that zeroshelf wrote ${run.state === "applied" ? "were" : "will be"} taken out of ${plural(run.pictures, "file")}. ${run.state === "applied" ? "Undo writes them again." : "Nothing was done yet."}`);
  else if (run.state === "applied") parts.push(`${has(run.pictures, `was ${does}`, `were ${does}`)}${along}`, ...where, ". Undo brings everything back as it was.");
  else if (run.state === "partly") parts.push(partly(does));
  else parts.push(`${has(run.pictures, `will be ${does}`, `will be ${does}`)}${along}`, ...where, `. Nothing is overwritten${run.kind === "copy" ? `, and ${bytes(run.bytes)} are needed` : ""}. Nothing was done yet.`);
  if (run.removed) parts.push(` ${plural(run.removed, "file")} of earlier runs will be removed from other shelves.`);
  if (run.edits) parts.push(` With ${plural(run.edits, "edit")} of yours.`);
  return parts;
}

function partly(does) {
  const one = run.in_place === 1, count = run.in_place === null ? `some of ${plural(run.pictures, "picture")}` : `${number(run.in_place)} of ${plural(run.pictures, "picture")}`;
  if (run.begun === "undo") return `Not everything is back yet: ${count} ${one ? "is" : "are"} still ${does}. ${run.left_alone_count ? "The reasons are below: what has changed since is never touched. Clear them away and go on, or put these files back yourself." : "You can go on putting back."}`;
  return `So far ${count} ${one ? "is" : "are"} ${does}. You can go on, or undo what was done.`;
}

function drawProgress() {
  const job = running("apply", "undo"), mine = job?.about === shownRun;
  $("run-meter").hidden = !mine;
  $("run-acts").inert = Boolean(mine);
  if (!mine) return;
  $("run-doing").textContent = `${DOING[job.stage] ?? "Working"}${job.total ? `: ${number(job.done)} of ${number(job.total)}` : " \u2026"}`;
  meter($("run-bar"), job);
}

$("run-apply").addEventListener("click", async () => {
  if (!(await confirmed(`${own()?.choice ?? "Apply"} ${plural(run.pictures, "picture")}?`, own()?.meaning ?? "", own()?.choice ?? "Yes"))) return;
  await attempt(`runs/${run.id}/apply`, {});
  await poll();
  if (!running("apply")) await loadRun();
});
$("run-undo").addEventListener("click", async () => {
  await attempt(`runs/${run.id}/undo`, {});
  await poll();
  if (!running("undo")) await loadRun();
});
$("run-stop").addEventListener("click", () => { for (const kind of ["apply", "undo"]) if (running(kind)) attempt("stop", { kind }); });
$("run-remove").addEventListener("click", async () => {
  if (!(await confirmed("Remove this plan from the history?", `No picture is touched.${run.edits ? ` What you corrected in it goes with it: ${plural(run.edits, "edit")}.` : ""}`, "Remove"))) return;
  if (await attempt(`runs/${run.id}/remove`, {})) location.hash = "#/runs";
});
addEventListener("focus", () => { if (view === "run") loadRun(); });  // back from the review page

async function loadRuns() {
  const given = await attempt("runs");
  if (!given) return;
  $("runs-none").hidden = given.runs.length > 0;
  $("runs").replaceChildren(...given.runs.map(runRow));
  $("runs-prune").hidden = !given.runs.some(idle);
}

const idle = (one) => one.may_open && (one.state === "planned" || one.state === "undone");
$("runs-prune").addEventListener("click", async () => {
  if (!(await confirmed("Remove these runs from the history?", "Those that were undone or never carried out, with what was corrected in them. No picture is touched, and what can be undone stays.", "Remove"))) return;
  const given = await attempt("runs/prune", {});
  if (given) say(`${plural(given.removed, "run")} removed${given.left ? `, ${number(given.left)} left alone` : ""}.`);
  await loadRuns();
});

function runRow(one) {
  const [words, look] = STATES[one.state] ?? [one.state, ""];
  const inside = [make("b", "", bdi(baseName(one.folder ?? "?"))), make("span", "quiet", day(one.when), one.pictures === null ? "" : `, ${plural(one.pictures, "picture")}, ${one.kind} \u2192 `, bdi(one.destination ?? "?"))];
  const what = one.may_open ? make("a", "what", ...inside) : make("span", "what", ...inside, make("span", "quiet", ". Not in a folder that this app may open."));
  if (one.may_open) what.href = `#/run/${one.id}`;
  return make("li", "", what, make("span", `badge ${look}`, words));
}

// --- models ---------------------------------------------------------------------------------------

async function loadModels() {
  const given = await attempt("models");
  if (!given) return;
  const rank = (one) => (one.id === given.used ? 0 : one.here ? 1 : one.id === given.recommended ? 2 : one.begun ? 3 : 4);
  const shown = given.models.filter((one) => one.here || one.may_get || one.begun).sort((a, b) => rank(a) - rank(b));
  $("models").replaceChildren(...shown.map((one) => modelRow(one, given)));
  drawDownload();
}

function modelRow(one, given) {
  const facts = [
    one.megabytes ? bytes(one.megabytes * 1e6) : "", one.imagenet ? `${one.imagenet} % right on ImageNet` : "",
    one.pictures_per_second ? `about ${one.pictures_per_second < 10 ? one.pictures_per_second.toFixed(1) : number(Math.round(one.pictures_per_second))} pictures a second here` : "",
    one.languages > 1 ? plural(one.languages, "language") : one.languages === 1 ? "English" : "", one.licence,
  ].filter(Boolean).join(" \u00b7 ");
  const li = make("li", "", make("span", "what", make("b", "", visible(one.name || one.id)), make("span", "quiet", facts)));
  li.dataset.id = one.id;
  if (one.id === given.used) li.append(make("span", "badge good", "in use"));
  else if (one.id === given.recommended) li.append(make("span", "badge wait", "better, and fits this computer"));
  if (one.here && one.id !== given.used) li.append(button("plain", async () => { if (await attempt(`models/${one.id}/use`, {})) loadModels(); }, "Use this"));
  if (one.may_get) li.append(button("plain", () => getModel(one), one.begun ? `Go on (${bytes(one.begun)} are here)` : "Get it \u2026"));
  if (one.may_remove || (one.begun && !one.here)) {
    const away = button("link", () => removeModel(one), "Remove");
    away.setAttribute("aria-label", `Remove ${visible(one.name || one.id)}`);
    li.append(away);
  }
  return li;
}

async function getModel(one) {
  say("Asking for its size and licence \u2026");
  const offer = await attempt(`models/${one.id}/offer`);
  if (!offer) return;
  say("");
  const text = `${bytes(offer.bytes)} are downloaded from ${offer.repo}. Its licence is ${offer.licence}; by getting it you agree to that.${offer.note ? ` ${offer.note}.` : ""}`;
  if (!(await confirmed(`Get ${one.name}?`, text, "Agree and get it"))) return;
  await attempt(`models/${one.id}/get`, { licence: offer.licence });
  await poll();
}

async function removeModel(one) {
  if (!(await confirmed(`Remove ${one.name || one.id}?`, "Its files are deleted. It can be got again.", "Remove"))) return;
  if (await attempt(`models/${one.id}/remove`, {})) loadModels();
}

function drawDownload() {
  const job = running("model");
  $("model-meter").hidden = !job;
  if (!job) return;
  $("model-doing").textContent = job.stage === "checking" ? `Checking ${job.about} \u2026` : `Getting ${job.about}: ${bytes(job.done)} of ${bytes(job.total)}`;
  meter($("model-bar"), job.stage === "checking" ? { total: 0 } : job);
}

// --- storage --------------------------------------------------------------------------------------

async function loadStorage() {
  const given = await attempt("cache");
  if (!given) return;
  $("storage-says").textContent = `What was read of pictures takes ${bytes(given.bytes)}: ${plural(given.embeddings, "picture")}${given.models > 1 ? ` by ${number(given.models)} models` : ""}, ${plural(given.thumbnails, "thumbnail")}.`;
  $("storage-where").textContent = visible(given.path);
}

async function clear(days) {
  if (!(await attempt("cache/clear", { days }))) return;
  await poll();
  if (!running("cache")) loadStorage();
}
$("storage-old").addEventListener("click", () => clear(90));
$("storage-all").addEventListener("click", async () => {
  if (await confirmed("Remove everything that was read?", "No picture is touched. The next sort reads every picture again, and plans that are not carried out can't be reviewed before that.", "Remove")) clear(0);
});

// --- dialogs --------------------------------------------------------------------------------------

let answerConfirm = () => {};

/** Whether the user says yes. */
function confirmed(title, text, yes) {
  $("confirm-name").textContent = title;
  $("confirm-says").textContent = text;
  $("confirm-yes").textContent = yes;
  $("confirm").showModal();
  $("confirm-yes").focus();
  return new Promise((answer) => { answerConfirm = answer; });
}
$("confirm-yes").addEventListener("click", () => { answerConfirm(true); answerConfirm = () => {}; $("confirm").close(); });
// The event comes a little later than the closing: by then the dialog may be open for another answer.
$("confirm").addEventListener("close", () => { if (!$("confirm").open) answerConfirm(false); });

for (const dialog of document.querySelectorAll("dialog")) {
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog || event.target.closest(".close")) dialog.close();
  });
}

$("quit").addEventListener("click", async () => {
  if (!(await confirmed("Quit zeroshelf?", running("read") ? "Reading stops; it goes on where it was next time." : "Everything is saved.", "Quit"))) return;
  if (!(await attempt("quit", {}))) return;
  ended = true;
  clearTimeout(timer);
  $("lost").textContent = "zeroshelf has ended. You can close this tab.";
  $("lost").hidden = false;
});

await poll();
await look();
document.body.dataset.ready = "true";
