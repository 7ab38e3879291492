// What the run has to say: notes, each of which can be put away for good, and the files that were skipped.

import { edit, news, run } from "./state.js";
import { $, button, make, number, plural, visible } from "./words.js";

const SHOWN = 2000;  // skipped files in the list; the results of a run have them all

const open = () => [...new Set(run.facts.notes)].filter((note) => !run.putAway.includes(note));

/** Links to the dialog, for the line of facts. */
export function links() {
  const link = (text, what) => {
    const one = button("link", text);
    one.addEventListener("click", () => show(what));
    return make("span", "", one);
  };
  const all = new Set(run.facts.notes).size, skipped = run.facts.skipped.length;
  return [...(skipped ? [link(`${number(skipped)} skipped`, "skipped")] : []), ...(all ? [link(plural(all, "note"), "all-notes")] : [])];
}

/** The notes that are not put away: as a list, and as one button in a narrow window. */
export function draw() {
  const left = open();
  $("notes").replaceChildren(...left.map((note) => {
    const away = button("away", "\u2715");
    away.setAttribute("aria-label", `Put this note away: ${visible(note)}`);
    away.addEventListener("click", () => putAway([note]));
    return make("li", "", make("span", "", visible(note)), away);
  }));
  $("notes-open").hidden = left.length === 0;
  $("notes-open").textContent = plural(left.length, "note");
}

/** Put notes away: they are shown in the dialog alone from now on, in every tab and after a reload. */
function putAway(some) {
  const at = [...$("notes").children].findIndex((li) => li.contains(document.activeElement));
  run.putAway = [...run.putAway, ...some];
  draw();
  if (at >= 0) ($("notes").children[Math.min(at, $("notes").children.length - 1)]?.querySelector("button") ?? $("grid")).focus({ preventScroll: true });
  edit({ do: "put-away", notes: some });
}

function show(part) {
  const all = [...new Set(run.facts.notes)], { skipped } = run.facts;
  $("all-notes").hidden = !all.length;
  $("all-notes").querySelector("ul").replaceChildren(...all.map((note) => make("li", "", visible(note))));
  $("skipped").hidden = !skipped.length;
  $("skipped").querySelector("h3").textContent = `${number(skipped.length)} skipped`;
  $("skipped").querySelector("ul").replaceChildren(
    ...skipped.slice(0, SHOWN).map(([path, reason]) => make("li", "", make("bdi", "", visible(path)), make("div", "quiet", visible(reason)))),
    ...(skipped.length > SHOWN ? [make("li", "quiet", `${number(skipped.length - SHOWN)} more are in results.csv of this run.`)] : []));
  $("about-run").showModal();
  $(part).scrollIntoView({ block: "nearest" });
  if (part === "skipped") $("skipped").scrollIntoView({ block: "start" });
}

$("notes-open").addEventListener("click", () => { show("all-notes"); putAway(open()); });
news.addEventListener("put-away", draw);
