// An incident: all that is known of a run, as a file, or sent to a place that the configuration names.

import { get, part, post } from "./api.js";
import { h, say, words } from "./dom.js";
import { question, save } from "./parts.js";

/** One click takes the file; a second sends it where the configuration allows. */
export async function report(house, run) {
  const { items } = house.session.may_operate ? await get("/v1/incidents").catch(() => ({ items: [] })) : { items: [] };
  if (items.length === 0) return file(run);
  const options = [...items.map((place) => [place.name, `${place.name}: ${place.says}`]), ["", "a file on this machine"]];
  const done = await question({
    title: "Report an incident", deed: "Report",
    says: h("p", null, "The run, its trace, its calls with verdicts and reasons, the versions of the rules, and its events, whose indexes are their receipts."),
    fields: [
      { name: "to", label: "To", value: items[0].name, options },
      { name: "note", label: "What you have to say", value: "", rows: 3, hint: "Comes first. It may be left empty." },
    ],
    act: ({ to, note }) => (to ? post(`/v1/runs/${part(run.run)}/incident`, { to, note: note || undefined }) : file(run)),
  });
  if (!done || done === true || !done.to) return undefined;
  say("The incident was sent");
  const found = done.place && /^https?:\/\//.test(done.place);
  return question({
    title: "It was sent", deed: "Close", act: () => true,
    says: [h("p", null, "To ", words(done.to), ". ", found ? h("a", { href: done.place, target: "_blank", rel: "noreferrer" }, words(done.place)) : null),
      h("p", { class: "muted" }, `The ledger says so in event ${done.receipt?.index ?? "–"}, with the digest of what was sent.`)],
  });
}

async function file(run) {
  save(`incident-${run.run}.json`, await get(`/v1/runs/${part(run.run)}/incident`));
}
