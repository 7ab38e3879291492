// The dialogs over the page (apply and undo, the keys), words to count as a label, and the threshold slider.

import { request, edit, news, run, sync } from "./state.js";
import { counts, keys, without } from "./shelves.js";
import { $, bytes, make, number, plural, visible } from "./words.js";

export const heard = { say() {}, find() {} };  // set by the page

for (const dialog of document.querySelectorAll("dialog")) {
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog || event.target.closest(".close")) dialog.close();
  });
}

// --- words to count as a label ---------------------------------------------------------------------

let wider = null, asking = 0;
const declined = new Set();  // on this page

/** Offer to count words as a label, where pictures on other look like them. */
export async function offerWords() {
  const mine = (asking += 1), given = run.closed ? [] : await request("words");
  if (!given || mine !== asking) return;
  wider = given.find((one) => !declined.has(key(one))) ?? null;
  $("widen").hidden = !wider;
  if (wider) $("widen-says").replaceChildren(
    `${plural(wider.rows.length, "picture")} on other ${wider.rows.length === 1 ? "looks" : "look"} like `,
    make("bdi", "", wider.words.map(visible).join(", ")), ": count them as ", make("bdi", "", visible(wider.label)), "?");
}

const key = ({ label, words }) => JSON.stringify([label, words]);

/** Yes to the words that are offered. */
export async function addWords() {
  if (!wider) return;
  const { label, words } = wider;
  wider = null;
  $("widen").hidden = true;
  const done = await edit({ do: "widen", label, words });
  if (done) heard.say(`${plural(done.moved, "picture")} came to ${visible(label)}. z undoes it.`);
}

let labels = "";  // what was offered last was for these
news.addEventListener("change", () => {
  const now = JSON.stringify([run.names, run.words]);
  if (now !== labels) { labels = now; offerWords(); }
});

$("widen-add").addEventListener("click", addWords);
$("widen-no").addEventListener("click", () => { if (wider) declined.add(key(wider)); offerWords(); });
$("widen-look").addEventListener("click", () => { if (wider) heard.find(wider.rows, `look like ${wider.words.map(visible).join(", ")}`); });

// --- threshold offset -------------------------------------------------------------------------------

let looking = 0, previews = 0;
export let sliding = false;  // the user moves the slider: news must not
for (const end of ["pointerup", "keyup", "blur"]) $("offset").addEventListener(end, () => { sliding = false; });

$("offset").addEventListener("input", () => {
  clearTimeout(looking);
  sliding = true;
  const by = Number($("offset").value);
  looking = setTimeout(async () => {
    const mine = (previews += 1);
    if (by === run.offset) { $("offset-says").textContent = ""; return; }
    const shelves = await request(`offset?by=${by}`, "Counting what would change \u2026");
    if (!shelves || mine !== previews) return;
    const gone = Object.values(shelves).reduce((sum, [leave]) => sum + leave, 0);
    const most = Object.entries(shelves).map(([name, [leave, come]]) => [name, come - leave])
      .sort((a, b) => Math.abs(b[1]) - Math.abs(a[1])).slice(0, 3)
      .map(([name, more]) => `${visible(name)} ${more > 0 ? "+" : "\u2212"}${number(Math.abs(more))}`);
    $("offset-says").textContent = gone ? `${plural(gone, "picture")} would change: ${most.join(", ")}` : "nothing would change";
  }, 60);
});
$("offset").addEventListener("change", async () => {
  clearTimeout(looking);
  previews += 1;
  sliding = false;
  await edit({ do: "offset", by: Number($("offset").value) });
  $("offset-says").textContent = "";
});

// --- apply and undo ---------------------------------------------------------------------------------

const chosen = () => $("apply-how").querySelector("input:checked")?.value ?? run.kind;

/** A choice for each way that there is, the plan's own first chosen; none where there is one way only. */
function offerWays() {
  const ways = run.facts.actions.length > 1 ? run.facts.actions : [];
  $("apply-how").replaceChildren($("apply-how").firstElementChild, ...ways.map(({ name, choice }) => {
    const box = make("input", "unseen");
    Object.assign(box, { type: "radio", name: "how", value: name, checked: name === run.kind });
    box.addEventListener("change", () => { drawApply(); foresee(); });
    return make("label", "", box, choice);
  }));
}

/** What the chosen action means ("meaning"), or where its results are ("place"). */
function words(which) {
  const action = run.facts.actions.find(({ name }) => name === chosen());
  return (action?.[which] ?? "").replace("{to}", () => visible(action.to ?? ""));
}

let foreseen = 0;

/** Say how many files the chosen action is about, what room they need, and what is special about the plan. */
async function foresee() {
  const mine = (foreseen += 1), { state } = run.progress;
  $("apply-needs").textContent = "";
  $("apply-notes").replaceChildren();
  if (state !== "planned" && state !== "undone") return;
  $("apply-needs").textContent = "Looking at what would be done \u2026";
  const given = await request(`consequences?kind=${encodeURIComponent(chosen())}`);
  if (mine !== foreseen) return;
  if (!given || ["applying", "undoing", "applied"].includes(run.progress.state)) { $("apply-needs").textContent = ""; return; }
  const room = given.needed ? `, ${bytes(given.needed)} of room${given.free === null ? "" : `; ${bytes(given.free)} are free there`}` : ", no room on the disk";
  $("apply-needs").textContent = given.files ? `${plural(given.files, "file")}${room}.` : "Nothing to do: no file would change.";
  $("apply-needs").classList.toggle("warn", given.free !== null && given.needed > given.free);
  $("apply-notes").replaceChildren(...given.notes.map((note) => make("li", "", visible(note))));
}

function drawApply() {
  const { state, done, total, trouble, left_alone: left, error } = run.progress;
  const busy = state === "applying" || state === "undoing";
  const { tally } = counts();
  const says = {
    planned: words("meaning"),
    undone: `Everything is back as it was. ${words("meaning")}`,
    applied: `Done, ${words("place")}. To apply later edits, undo first.`,
    partly: `This was stopped, or some pictures were left alone. Apply goes on; undo ${words("undo")}.`,
    applying: "Applying …", undoing: "Putting everything back …",
  };
  const open = run.facts.actions.length > 1 && (state === "planned" || state === "undone");
  $("apply-how").hidden = !open;
  $("apply-says").textContent = open && chosen() !== run.kind ? says[state] : error || says[state];  // another way, another try
  $("apply-table").hidden = busy;
  $("apply-table").tBodies[0].replaceChildren(...run.names.flatMap((name, column) => without(column, tally) ? [] :
    make("tr", "", make("td", "", make("bdi", "", visible(name))), make("td", "", number(tally[column] ?? 0)))));
  $("apply-progress").hidden = !busy;
  $("apply-doing").textContent = total ? `${number(done)} of ${number(total)}` : "Starting …";
  if (total) { $("apply-bar").max = total; $("apply-bar").value = done; } else $("apply-bar").removeAttribute("value");
  $("trouble").replaceChildren(...trouble.map(([path, reason]) =>
    make("li", "", make("bdi", "", visible(path)), make("div", "quiet", visible(reason)))));
  if (left > trouble.length) $("trouble").append(make("li", "quiet", `and ${number(left - trouble.length)} more`));
  $("unapply").hidden = state !== "applied" && state !== "partly";
  $("apply-now").hidden = busy || state === "applied";
  $("apply-open").textContent = { applied: "Applied …", applying: "Applying …", undoing: "Undoing …" }[state] ?? "Apply …";
  document.body.dataset.state = state;
}

news.addEventListener("progress", () => { drawApply(); if ($("apply").open) foresee(); });
news.addEventListener("change", () => { if ($("apply").open) { drawApply(); foresee(); } });
$("apply-open").addEventListener("click", () => { offerWays(); drawApply(); $("apply").showModal(); foresee(); });
$("apply-now").addEventListener("click", () => edit({ do: "apply", kind: $("apply-how").hidden ? run.kind : chosen() }).then(() => sync()));
$("unapply").addEventListener("click", () => edit({ do: "unapply" }).then(() => sync()));

// --- keys -------------------------------------------------------------------------------------------

export function openHelp() {
  const fixed = [
    ["\u2190 \u2191 \u2192 \u2193", "go from picture to picture; with Shift, select on the way"],
    ["Space", "select this picture, or let it go"], ["Enter", "show it large"], ["Esc", "close, or select none"],
    ["a", "select what is shown in the window"], ["Shift A", "select all that match"],
    ["e", "spread a stack out, or fold it"], ["z", "undo the last edit"], ["+", "count the words that are offered as their label"], ["/", "find"], ["?", "these keys"],
  ];
  const labels = [...keys].map(([key, column]) => [key, `put on ${visible(run.names[column])}`]);
  $("keys").replaceChildren(...[...labels, ...fixed].flatMap(([key, what]) => [make("dt", "", make("kbd", "", key)), make("dd", "", what)]));
  $("help").showModal();
}
$("help-open").addEventListener("click", openHelp);
