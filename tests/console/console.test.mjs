// Each page's main task, by keyboard and by mouse, in a real browser against a real Remit.

import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";

import { accessible, Browser, HARMLESS, HOSTILE, LOST, SHOTS, Stage, TOKEN, untouched } from "./stage.mjs";

let stage, browser, page, work;

before(async () => {
  stage = await Stage.up();
  browser = await Browser.up();
  work = await stage.run("ana@customers.example", "answer ticket T-1001");
  await work.call("desk.lookup_ticket", { ticket_id: "T-1001" }, "read what the customer wants");
  await work.call("desk.refund_charge", { charge_id: "ch_1", amount_cents: 900_000 }, "the ticket says so");
  await work.call("desk.refund_charge", { charge_id: "ch_1", amount_cents: 4_200 }, "the lamp arrived broken");
  await work.call("notes.read_note", {}, "look it up");
  const bad = await stage.run(HOSTILE, HOSTILE);
  await bad.call("desk.lookup_ticket", { ticket_id: HOSTILE, [HOSTILE]: HOSTILE }, HOSTILE);
  await bad.call("desk.refund_charge", { charge_id: HOSTILE, amount_cents: 6_000 }, HOSTILE);
  await stage.read("/v1/calls?after=99999");
  page = await browser.signedIn(stage);
  browser.fine();
});

after(async () => {
  await browser?.down();
  await stage?.down();
});

afterEach(() => browser.fine());

async function go(path) {
  await page.goto(stage.people + path);
  await page.locator("main h1").waitFor();
  await page.locator("main[aria-busy]").waitFor({ state: "detached" });
}

const keys = async (...names) => { for (const name of names) await page.keyboard.press(name); };
const heading = (name) => page.getByRole("heading", { name, level: 1 }).waitFor();

// ---- Signing in -------------------------------------------------------------------------------------------

test("a link signs in once, by keyboard alone, and leaves nothing to scripts", async () => {
  const link = await stage.link("dana@example.com");
  const own = await browser.window();
  await own.goto(link);
  await own.getByRole("button", { name: "Sign in" }).waitFor();
  await own.keyboard.press("Enter");
  await own.getByRole("heading", { name: "Now", level: 1 }).waitFor();
  assert.equal(new URL(own.url()).hash, "");
  assert.equal(await own.evaluate(() => document.cookie), "");
  await own.getByRole("button", { name: "dana@example.com" }).waitFor();
  const again = await browser.window();
  await again.goto(link);
  await again.getByRole("button", { name: "Sign in" }).click();
  await again.getByText("this link was used").waitFor();
  await own.getByRole("button", { name: "dana@example.com" }).click();
  await own.getByRole("dialog").getByRole("button", { name: "Sign out" }).click();
  await own.getByRole("heading", { name: "You are not signed in" }).waitFor();
  const { status } = await own.evaluate(async () => { const answer = await fetch("/v1/runs"); return { status: answer.status }; });
  assert.equal(status, 401);
  await own.context().close();
  await again.context().close();
  browser.fine("401");
});

// ---- Now --------------------------------------------------------------------------------------------------

test("now: verdicts come by themselves", async () => {
  await go("/");
  await page.getByText("live", { exact: true }).waitFor();
  const run = await stage.run("live", "see it live");
  await run.call("desk.refund_charge", { charge_id: "ch_2", amount_cents: 77 });
  const first = page.getByRole("list", { name: "Verdicts, newest first" }).getByRole("listitem").first();
  await first.getByText("desk.refund_charge").waitFor();
  await first.getByText("succeeded").waitFor();
  await page.locator(".number", { hasText: "Spent, last minute" }).getByText("$0.30").waitFor();
});

test("now: what is too much is shown as a sample, and counted all the same", async () => {
  await go("/");
  await page.getByText("live", { exact: true }).waitFor();
  const run = await stage.run("storm", "many calls");
  await Promise.all(Array.from({ length: 150 }, (_, number) => run.call("desk.lookup_ticket", { ticket_id: `T-${number}` })));
  await page.getByText(/a sample: 20 of \d+ this second/).waitFor();
  await page.waitForFunction(() => Number(document.querySelector(".numbers strong").textContent.replaceAll(",", "")) >= 150);
  assert.ok(await page.getByRole("list", { name: "Verdicts, newest first" }).getByRole("listitem").count() <= 60);
});

test("stop everything by mouse, resume by mouse", async () => {
  const run = await stage.run("halted", "nothing");
  await go("/");
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByLabel("Why").fill("it pays everybody");
  await page.getByRole("button", { name: "Stop now" }).click();
  await page.getByText("Everything is halted").waitFor();
  const answered = await run.call("desk.lookup_ticket", { ticket_id: "T" });
  assert.equal(answered.verdict.ruling, "deny");
  assert.match(JSON.stringify(answered.verdict.reasons), /halted/);
  assert.equal((await stage.read("/v1/halts")).items[0].by, "operator");
  await page.getByRole("button", { name: "Resume" }).click();
  await page.getByRole("dialog").getByLabel("Why").fill("mended");
  await page.getByRole("dialog").getByRole("button", { name: "Resume" }).click();
  await page.getByText("Everything is halted").waitFor({ state: "detached" });
  assert.equal((await run.call("desk.lookup_ticket", { ticket_id: "T" })).verdict.ruling, "allow");
});

test("stop and resume by keyboard, and another window hears of it", async () => {
  const other = await browser.signedIn(stage, "vera@example.com");
  await go("/runs");
  await keys("s");
  const dialog = page.getByRole("dialog");
  await dialog.waitFor();
  await page.keyboard.type("by keyboard");
  await keys("Enter");
  await dialog.waitFor({ state: "detached" });
  await other.getByText("Everything is halted").waitFor();
  assert.equal(await other.getByRole("button", { name: /Stop|Resume/ }).count(), 0, "a viewer has no such button");
  await page.getByRole("button", { name: "Resume" }).focus();
  await keys("Enter");
  await dialog.waitFor();
  await page.keyboard.type("on with it");
  await keys("Enter");
  await other.getByText("Everything is halted").waitFor({ state: "detached" });
  await other.context().close();
});

test("esc goes back and nothing is halted; an empty why is not taken", async () => {
  await go("/");
  await keys("s");
  await page.getByRole("dialog").waitFor();
  await page.getByRole("button", { name: "Stop now" }).click();
  assert.equal(await page.getByRole("dialog").count(), 1);
  await keys("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  assert.deepEqual((await stage.read("/v1/halts")).items, []);
});

// ---- Runs and calls ---------------------------------------------------------------------------------------

test("runs: searched, walked and opened by keyboard; a call says why", async () => {
  await keys("Escape");
  await go("/");
  await keys("g", "r");
  await heading("Runs");
  await keys("/");
  await page.keyboard.type("ANA@customers");
  await keys("Enter");
  await page.waitForURL(/q=ANA/);
  await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 1);
  await keys("Escape", "j", "Enter");
  await heading(/^Run /);
  await page.getByText("answer ticket T-1001").waitFor();
  const refused = page.locator(".waterfall details").nth(1);
  await refused.locator("summary").focus();
  await keys("Enter");
  await refused.getByText("no rule allows this call").waitFor();
  await refused.getByText(/args\.amount_cents <= 5000/).first().waitFor();
  await refused.getByText("the ticket says so").waitFor();
});

test("runs: filtered by mouse, one taken away as an incident, then closed", async () => {
  const own = await stage.run("incident", "goes wrong");
  await own.call("desk.refund_charge", { charge_id: "ch_9", amount_cents: 99_000 });
  await go("/runs");
  await page.getByRole("combobox", { name: "With" }).selectOption("denied");
  await page.waitForURL(/only=denied/);
  await page.getByRole("row", { name: /incident/ }).getByRole("link").click();
  await heading(/^Run /);
  const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Report an incident" }).click().then(async () => {
    await page.getByRole("dialog").locator("select[name=to]").selectOption("");
    await page.getByRole("dialog").getByRole("button", { name: "Report" }).click();
  })]);
  assert.equal(file.suggestedFilename(), `incident-${own.id}.json`);
  const incident = JSON.parse(await readFile(await file.path(), "utf8"));
  assert.equal(incident.run.run, own.id);
  assert.deepEqual(incident.events.map((it) => it.event.kind), ["run_opened", "call_decided"]);
  assert.equal(incident.calls[0].verdict.reasons[0].code, "no_rule_allows");
  assert.match(incident.rules_now, /^sha256:/);
  await page.getByRole("button", { name: "Close run" }).click();
  await page.getByLabel("As").selectOption("failure");
  await page.getByRole("dialog").getByRole("button", { name: "Close" }).click();
  await page.locator(".facts").getByText("failure").waitFor();
  assert.equal((await stage.read(`/v1/runs/${own.id}`)).run.closed_by, "operator");
});

test("an incident is sent where the configuration says, and its token stays there", async () => {
  const own = await stage.run("sent", HOSTILE);
  await own.call("desk.refund_charge", { charge_id: "ch_9", amount_cents: 98_000 }, HOSTILE);
  const asked = [];
  page.on("response", async (response) => asked.push(await response.text().catch(() => "")));
  await go(`/runs/${own.id}`);
  await page.getByRole("button", { name: "Report an incident" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("What you have to say").fill("it wants too much");
  assert.deepEqual(await accessible(page), []);
  await dialog.getByRole("button", { name: "Report" }).click();
  await page.getByRole("heading", { name: "It was sent" }).waitFor();
  await page.getByRole("dialog").getByRole("link", { name: /acme\/agents\/issues\/1/ }).waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Close" }).click();
  const [issue] = stage.issues;
  assert.equal(issue.title, `Incident: refund-desk in ${own.id}`);
  assert.deepEqual(issue.labels, ["incident"]);
  for (const part of ["it wants too much", own.id, "no_rule_allows", "sha256:"]) assert.ok(issue.body.includes(part), part);
  for (const part of ["<img", "98000", "onerror"]) assert.ok(!issue.body.includes(part), part);
  assert.ok(asked.length > 0 && !asked.some((text) => text.includes(TOKEN)), "no browser sees the token");
  page.removeAllListeners("response");
  const items = await stage.events();
  const sent = items.filter((it) => it.event.kind === "incident_sent").map((it) => it.event.body);
  assert.deepEqual(sent.map((it) => [it.by, it.to, it.end]), [["operator", "tracker", undefined], ["operator", "tracker", "arrived: http://127.0.0.1:9/acme/agents/issues/1"]]);
});

test("runs are searched in what agents wrote, by tool and by day, each with its address", async () => {
  const own = await stage.run("searched", "the case of the blue lamp");
  await own.call("desk.refund_charge", { charge_id: "ch_needle", amount_cents: 3 });
  await stage.read("/v1/runs?after=99999");
  const only = async (id) => {
    await page.waitForFunction((wanted) => {
      const ids = [...document.querySelectorAll("tbody .id")].map((it) => it.title);
      return ids.length === 1 && ids[0] === wanted;
    }, id);
  };
  await go("/runs");
  await page.getByRole("combobox", { name: "Search in" }).selectOption("true");
  await page.waitForURL(/inside=true/);
  await keys("/");
  await page.keyboard.type("ch_NEEDLE");
  await keys("Enter");
  await only(own.id);
  await page.getByRole("searchbox", { name: "Search runs" }).fill("blue lamp");
  await keys("Enter");
  await only(own.id);
  const today = new Date().toISOString().slice(0, 10);
  await go(`/runs?q=searched&tool=desk.refund_charge&from=${today}&until=${today}`);
  await only(own.id);
  assert.ok(await page.getByRole("combobox", { name: "Tool" }).isVisible(), "filters in use are seen");
  await go("/runs?q=searched&until=2020-01-01");
  await page.getByText("No run is like that.").waitFor();
});

test("a run shows who was opened under whom, and leads there", async () => {
  const root = await stage.run("family", "the whole");
  const child = await stage.run("family", "a part", root);
  const grandchild = await stage.run("family", "a part of the part", child);
  await child.call("desk.refund_charge", { charge_id: "c", amount_cents: 70_000 });
  await stage.read("/v1/runs?after=99999");
  await go(`/runs/${grandchild.id}`);
  const tree = page.getByRole("region", { name: "Runs of one root" });
  await tree.getByText("1 refused").waitFor();
  assert.equal(await tree.locator("ul ul ul .node.own").count(), 1, "two above it");
  assert.deepEqual(await accessible(page), []);
  await tree.getByRole("link").first().click();
  await page.waitForURL(new RegExp(root.id));
  assert.equal(await tree.locator("[aria-current]").count(), 1);
  const trace = page.getByRole("link", { name: /^[0-9a-f]{32}$/ });
  // Both at once: the page is just becoming another.
  assert.ok(await trace.evaluate((it) => it.href === `https://tracing.example.com/trace/${it.textContent}`));
});

test("a run's page moves by itself, and what was opened stays open", async () => {
  const own = await stage.run("moving", "more comes");
  await own.call("desk.refund_charge", { charge_id: "c", amount_cents: 60_000 }, "the first");
  await stage.read("/v1/runs?after=99999");
  await go(`/runs/${own.id}`);
  await page.locator(".waterfall summary").first().click();
  await page.getByText("the first").waitFor();
  await page.getByText("Arguments", { exact: true }).click();
  await own.call("desk.lookup_ticket", { ticket_id: "T" }, "the second");
  await page.waitForFunction(() => document.querySelectorAll(".waterfall > details").length === 2);
  await page.getByText("the first").waitFor();
  await page.getByText('"amount_cents": 60000').waitFor();
  assert.equal(await page.locator(".waterfall > details[open]").count(), 1);
  await go("/runs");
  const newer = await stage.run("moving too", "seen without asking");
  await page.locator(`.id[title="${newer.id}"]`).waitFor();
});

test("a run is given more to spend, for a while and with a reason", async () => {
  const own = await stage.run("extended", "needs more");
  await go(`/runs/${own.id}`);
  await page.locator(".gauge", { hasText: "calls" }).getByText("0 of 200").waitFor();
  await page.getByRole("button", { name: "Extend budget" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Calls more").fill("501");
  await dialog.getByLabel("Why").fill("a large case");
  await dialog.getByRole("button", { name: "Extend" }).click();
  await dialog.getByRole("alert").waitFor();
  await dialog.getByLabel("Calls more").fill("40");
  await dialog.getByRole("button", { name: "Extend" }).click();
  await dialog.waitFor({ state: "detached" });
  await page.locator(".gauge", { hasText: "calls" }).getByText("0 of 240").waitFor();
  const items = await stage.events();
  const extended = items.filter((it) => it.event.kind === "run_extended").at(-1)?.event.body;
  assert.deepEqual([extended.by, extended.why, extended.amount.calls], ["operator", "a large case", 40]);
  browser.fine("409", "400");
});

test("a freeze lets reads go on and lifts itself", async () => {
  const own = await stage.run("frozen", "reads on");
  await go("/");
  await keys("s");
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Why").fill("look first");
  await dialog.getByLabel("Until").selectOption("15m");
  await dialog.getByLabel("What only reads").selectOption("on");
  await dialog.getByRole("button", { name: "Stop now" }).click();
  await page.getByText("what only reads goes on").waitFor();
  await page.getByText(/lifts itself in 1[45] min|lifts itself in 9\d\d s/).waitFor();
  assert.equal((await own.call("desk.lookup_ticket", { ticket_id: "T" })).verdict.ruling, "allow");
  assert.equal((await own.call("desk.refund_charge", { charge_id: "c", amount_cents: 5 })).verdict.ruling, "deny");
  const [halt] = (await stage.read("/v1/halts")).items;
  assert.ok(halt.reads_allowed && Date.parse(halt.until) > Date.now());
  await page.getByRole("button", { name: "Resume" }).click();
  await page.getByRole("dialog").getByLabel("Why").fill("looked");
  await page.getByRole("dialog").getByRole("button", { name: "Resume" }).click();
  await page.getByText("Everything is halted").waitFor({ state: "detached" });
});

test("a run is halted and resumed from its page", async () => {
  const own = await stage.run("one run", "alone");
  await go(`/runs/${own.id}`);
  await page.getByRole("button", { name: "Halt run" }).click();
  await page.getByLabel("Why").fill("this one only");
  await page.getByRole("dialog").getByRole("button", { name: "Halt" }).click();
  await page.getByRole("button", { name: "Resume run" }).waitFor();
  assert.equal((await own.call("desk.lookup_ticket", { ticket_id: "T" })).verdict.ruling, "deny");
  assert.equal((await work.call("desk.lookup_ticket", { ticket_id: "T" })).verdict.ruling, "allow");
  await page.getByRole("button", { name: "Resume run" }).click();
  await page.getByRole("dialog").getByLabel("Why").fill("done");
  await page.getByRole("dialog").getByRole("button", { name: "Resume" }).click();
  await page.getByRole("button", { name: "Halt run" }).waitFor();
});

test("a run is paused and goes on, and its page shows what it may spend", async () => {
  const own = await stage.run("paused run", "waits");
  await own.call("desk.lookup_ticket", { ticket_id: "T" });
  await go(`/runs/${own.id}`);
  await page.locator(".gauge", { hasText: "calls" }).getByText(/^1 of \d+$/).waitFor();
  await page.getByRole("button", { name: "Pause run" }).click();
  await page.getByLabel("Why").fill("let me look");
  await page.getByRole("dialog").getByRole("button", { name: "Pause" }).click();
  await page.getByText("let me look").waitFor();
  assert.equal((await own.call("desk.lookup_ticket", { ticket_id: "U" })).verdict.ruling, "deny");
  await page.getByRole("button", { name: "Let it go on" }).click();
  await page.getByRole("dialog").getByLabel("Why").fill("looked");
  await page.getByRole("dialog").getByRole("button", { name: "Go on" }).click();
  await page.getByRole("button", { name: "Pause run" }).waitFor();
  assert.equal((await own.call("desk.lookup_ticket", { ticket_id: "V" })).verdict.ruling, "allow");
});

test("a plan is shown with its steps, and taken back once it was seen what that does", async () => {
  const own = await stage.planned("first", HOSTILE);
  assert.equal(own.ended.plan.stage, "committed");
  assert.equal(stage.standing.size, 2);
  await go(`/runs/${own.id}`);
  const steps = page.getByRole("region", { name: "Steps of the plan" });
  await steps.getByRole("row", { name: /note-1.*done.*desk\.remove_note/ }).waitFor();
  await page.getByText("committed: all 2 steps stand").waitFor();
  await page.getByRole("button", { name: "Take back" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("2 steps will be taken back").waitFor();
  assert.deepEqual(await accessible(page), []);
  assert.equal(stage.standing.size, 2, "it was only looked at");
  await dialog.getByLabel("Why").fill("the wrong tickets");
  await dialog.getByRole("button", { name: "Take back" }).click();
  await steps.getByRole("row", { name: /note-1.*undone/ }).waitFor();
  assert.equal(stage.standing.size, 0, "the desk's own notes are gone");
  assert.equal(await page.getByRole("button", { name: "Take back" }).count(), 0);
  await untouched(page);
  const vera = await browser.signedIn(stage, "vera@example.com");
  const other = await stage.planned("for vera");
  await vera.goto(`${stage.people}/runs/${other.id}`);
  await vera.getByText("committed: its one step stands").waitFor();
  assert.equal(await vera.getByRole("button", { name: "Take back" }).count(), 0, "a viewer is offered nothing that is refused");
  await vera.context().close();
});

test("a plan shows what it would change before anything of it is done", async () => {
  const before = stage.standing.size;
  const status = (id, ticket) => ({ id, tool: "desk.set_status", args: { ticket_id: ticket, status: "closed" } });
  const own = await stage.meant(status("close", "T-1"), { id: "note", tool: "desk.add_note", args: { ticket_id: "T-2", text: HOSTILE } }, status("lost", "T-gone"));
  await go(`/runs/${own.id}`);
  await page.getByText("proposed: nothing of it has happened").waitFor();
  await page.getByRole("button", { name: "What would it change?" }).press("Enter");
  const dialog = page.getByRole("dialog");
  const of = (id) => dialog.locator("section.change", { has: page.locator("code", { hasText: id }) });
  await of("close").locator(".diff .went").getByText('"open"').waitFor();
  await of("close").locator(".diff .came").getByText('"closed"').waitFor();
  await of("note").getByText("Its contract names no read for what is there before it. It sends:").waitFor();
  await of("note").locator("pre.json").getByText('"ticket_id": "T-2"').waitFor();
  await of("lost").getByText("What is there now is not known: its preview could not be read.").waitFor();
  await of("close").getByText("All that is there now").click();
  // The preview is told as JSON, which writes an escape in its own way.
  assert.ok((await of("close").innerText()).includes("\\u{202e}gnp.exe\\u{2066}\\u001b[31m{{7*7}}&lt;b&gt;"), await of("close").innerText());
  await untouched(page);
  await mkdir(SHOTS, { recursive: true });
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    for (const width of [360, 1280]) {
      await page.setViewportSize({ width, height: 800 });
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false, `fits ${width}`);
      assert.deepEqual(await accessible(page), [], `${colorScheme} ${width}`);
      await page.screenshot({ path: join(SHOTS, `plan-changes-${colorScheme}-${width}.png`) });
    }
  }
  await page.emulateMedia({ colorScheme: "light" });
  await dialog.getByRole("button", { name: "Understood" }).click();
  assert.equal(stage.standing.size, before, "it was only looked at");
  assert.equal((await own.commit()).plan.stage, "committed");
  await page.getByText("committed: all 3 steps stand").waitFor();
  assert.equal(await page.getByRole("button", { name: "What would it change?" }).count(), 0, "it was done by now");
});

test("a step that nobody knows the end of is settled by whoever has looked", async () => {
  const own = await stage.planned(LOST);
  assert.deepEqual([own.ended.plan.stage, own.ended.plan.stuck], ["committing", ["note-1"]]);
  await go(`/runs/${own.id}`);
  await page.getByText("nobody knows whether note-1 happened").waitFor();
  await page.getByRole("button", { name: "Settle" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("combobox").selectOption("done");
  await dialog.getByLabel("Why").fill("it stands on the ticket");
  assert.deepEqual(await accessible(page), []);
  await dialog.getByRole("button", { name: "Settle" }).click();
  await page.getByText("committed: its one step stands").waitFor();
  assert.equal(await page.getByRole("button", { name: "Settle" }).count(), 0);
});

test("spend: by keyboard to what agents cost, by workflow and run by run", async () => {
  const own = await stage.run("paid", "costs something");
  await own.call("desk.refund_charge", { charge_id: "ch_5", amount_cents: 100 });
  await go(`/runs/${own.id}`);
  await page.getByRole("button", { name: "Close run" }).click();
  await page.getByLabel("As").selectOption("success");
  await page.getByRole("dialog").getByRole("button", { name: "Close" }).click();
  await page.locator(".facts").getByText("success").waitFor();
  await keys("g", "p");
  await heading("Spend");
  await page.getByRole("row", { name: /refund-desk.*\$0\.30/ }).first().waitFor();
  await page.getByRole("combobox", { name: "By" }).selectOption("workflow");
  await page.getByText("none named").waitFor();
  await page.getByRole("combobox", { name: "By" }).selectOption("run");
  const ended = page.getByRole("table", { name: "What was spent" }).getByRole("row", { name: /success.*\$0\.30/ }).first();
  await ended.click();
  await heading("Run");
  await page.locator(".facts").getByText("success").waitFor();
  await page.goBack();
  const today = page.getByRole("table", { name: "Day by day" });
  await today.getByRole("row", { name: /refund-desk/ }).locator("svg.days path").waitFor({ state: "attached" });
  await page.getByRole("combobox", { name: "Each day of" }).selectOption("tool");
  await today.getByRole("row", { name: /desk\.refund_charge.*\$\d+\.\d\d/ }).waitFor();
});

test("runs are paged: each page has its address and no run is lost", async () => {
  for (let number = 0; number < 60; number += 1) await stage.run("pages", `run ${number}`);
  await stage.read("/v1/runs?after=99999");
  await go("/runs?q=pages");
  const ids = () => page.locator("tbody .id").evaluateAll((list) => list.map((it) => it.title));
  const first = await ids();
  await page.getByRole("link", { name: "Older" }).click();
  await page.waitForURL(/before=/);
  await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 10);
  const second = await ids();
  assert.equal(new Set([...first, ...second]).size, 60);
  await page.goBack();
  await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 50);
});

test("calls: the refused ones, and the whole story of one", async () => {
  await go("/calls");
  await page.getByRole("combobox", { name: "Verdict" }).selectOption("deny");
  await page.waitForURL(/ruling=deny/);
  await page.waitForFunction(() => ![...document.querySelectorAll("tbody .pill")].some((it) => it.textContent.includes("allow")));
  await go(`/calls?run=${work.id}&ruling=deny`);
  await page.locator("tbody tr").last().click();
  await page.getByRole("heading", { name: "The story" }).waitFor();
  for (const words of ["What would help:", "asked", "decided", "proof"]) await page.getByText(words).first().waitFor();
  await page.getByRole("link", { name: "Its run" }).click();
  await heading(/^Run /);
});

// ---- Agents, tools, rules, ledger -------------------------------------------------------------------------

test("agents: by keyboard to its manifest; a key is minted, shown once, revoked; the agent is halted", async () => {
  await go("/");
  await keys("g", "a");
  await heading("Agents");
  await keys("j", "j", "Enter");
  await heading("refund-desk");
  await page.getByText("args.amount_cents <= 5000").first().waitFor();
  await page.getByRole("button", { name: "Mint a key" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Mint" }).click();
  const secret = await page.locator(".secret").textContent();
  assert.match(secret, /^rk_/);
  await page.getByRole("button", { name: "I have it" }).click();
  const rows = page.locator("ul.rows li");
  await page.waitForFunction(() => document.querySelectorAll("ul.rows li").length === 2);
  assert.ok(!(await page.content()).includes(secret));
  const whose = () => fetch(`${stage.agents}/v1/whoami`, { headers: { authorization: `Bearer ${secret}` } });
  assert.equal((await whose()).status, 200);
  await rows.last().getByRole("button", { name: "Revoke" }).click();
  await page.getByLabel("Why").fill("a test's");
  await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
  await page.waitForFunction(() => document.querySelectorAll("ul.rows li").length === 1);
  assert.equal((await whose()).status, 401);
  await page.getByRole("button", { name: "Halt agent" }).click();
  await page.getByLabel("Why").fill("look at it first");
  await page.getByRole("dialog").getByRole("button", { name: "Halt" }).click();
  await page.getByRole("button", { name: "Resume agent" }).click();
  await page.getByRole("dialog").getByLabel("Why").fill("looked");
  await page.getByRole("dialog").getByRole("button", { name: "Resume" }).click();
  await page.getByRole("button", { name: "Halt agent" }).waitFor();
});

test("tools: a quarantined one shows what changed, and is accepted", async () => {
  await go("/tools");
  await page.getByRole("row", { name: /notes\.read_note.*quarantined/ }).getByRole("link").click();
  await page.getByRole("heading", { name: "Quarantined" }).waitFor();
  await untouched(page);
  assert.ok((await page.locator("pre.diff").innerText()).includes("+"));
  assert.equal((await work.call("notes.read_note", {})).verdict.ruling, "deny");
  await page.getByRole("button", { name: "Accept" }).click();
  await untouched(page);
  await page.getByRole("dialog").getByRole("button", { name: "Accept" }).click();
  await page.getByRole("heading", { name: "Quarantined" }).waitFor({ state: "detached" });
  assert.equal((await work.call("notes.read_note", {})).verdict.ruling, "allow");
  assert.ok((await readFile(join(stage.folder, "tools/notes.pins.json"), "utf8")).includes("window.pwned"));
  const items = await stage.events();
  const by = items.filter((it) => it.event.kind === "rules_activated").map((it) => it.event.body.by);
  assert.equal(by.at(-1), "operator", by.join());
});

test("rules: who can, by keyboard; a call is tried, by mouse", async () => {
  await go("/");
  await keys("g", "u");
  await heading("Rules");
  await keys("/");
  await page.keyboard.type("irreversible");
  await keys("Enter");
  await page.getByText(/\b[2-9] ways\b/).waitFor();
  await page.locator("#who-can").getByText("args.amount_cents <= 5000").first().waitFor();
  await page.getByRole("combobox", { name: "Agent", exact: true }).selectOption("refund-desk");
  await page.getByRole("combobox", { name: "Tool", exact: true }).selectOption("desk.refund_charge");
  const args = page.getByLabel("Arguments, as JSON", { exact: true });
  await page.waitForFunction(() => document.querySelector("[name=args][rows]").value.includes("charge_id"));
  await args.fill('{"charge_id": "c", "amount_cents": 100}');
  await page.getByRole("button", { name: "Try it" }).click();
  await page.locator("#tried .pill.allow").waitFor();
  await args.fill('{"charge_id": "c", "amount_cents": 10000}');
  await args.press("Tab");
  await keys("Enter");
  await page.locator("#tried .pill.deny").waitFor();
  await args.fill("{oops");
  await page.getByRole("button", { name: "Try it" }).click();
  await page.getByText("The arguments are not JSON").waitFor();
  await page.getByLabel("Only lines with").fill("refund_charge");
  await page.waitForFunction(() => document.querySelector("pre.cedar").innerText.split("\n").filter(Boolean).every((line) => line.includes("refund_charge")));
});

test("rules: what a change would do, before anybody makes it", async () => {
  const own = await stage.run("changed", "small sums");
  await own.call("desk.refund_charge", { charge_id: "c", amount_cents: 4_000 });
  await stage.read("/v1/runs?after=99999");
  const rules = (await stage.read("/v1/status")).rules_digest;
  await go("/rules");
  await page.getByRole("combobox", { name: "File" }).selectOption("agents/refund-desk.yaml");
  const text = page.getByLabel("Its text, as it would be");
  const before = await text.inputValue();
  assert.ok(before.includes("args.amount_cents <= 5000"));
  await text.fill(before.replace("args.amount_cents <= 5000", "args.amount_cents <= 100"));
  await page.getByRole("button", { name: "What would it do?" }).click();
  await page.getByText(/past calls? of \d+ would be decided otherwise/).waitFor();
  await page.getByRole("region", { name: "Calls that would be decided otherwise" }).getByRole("row", { name: /allow.*deny/ }).first().waitFor();
  await page.getByRole("region", { name: "Could not be done any more" }).getByText("args.amount_cents <= 5000").waitFor();
  await page.getByRole("region", { name: "Could be done that cannot be now" }).getByText("args.amount_cents <= 100").waitFor();
  assert.deepEqual(await accessible(page), []);
  await untouched(page);
  await text.fill("agent: [oops");
  await page.getByRole("button", { name: "What would it do?" }).click();
  await page.locator("#changed").getByRole("alert").getByText("agents/refund-desk.yaml").waitFor();
  assert.equal((await stage.read("/v1/status")).rules_digest, rules, "nothing was changed");
  browser.fine("400");
});

test("ledger: an event word for word, and a jump to one", async () => {
  await go("/");
  await keys("g", "l");
  await heading("Ledger");
  await keys("/");
  await page.keyboard.type("0");
  await keys("Enter");
  await page.getByRole("heading", { name: /^Events 0 to/ }).waitFor();
  await page.locator(".events summary").first().click();
  await page.locator(".events pre").getByText(/"rules_activated"/).waitFor();
});

test("a viewer reads, and is offered nothing that is refused", async () => {
  const own = await browser.signedIn(stage, "vera@example.com");
  assert.equal(await own.getByRole("link", { name: "Ledger" }).count(), 0);
  for (const path of ["/", `/runs/${work.id}`, "/agents/refund-desk", "/tools/desk.refund_charge"]) {
    await own.goto(stage.people + path);
    await own.locator("main h1").waitFor();
    assert.equal(await own.getByRole("button", { name: /Stop|Halt|Close run|Pause run|Extend|Mint|Revoke|Accept/ }).count(), 0, path);
  }
  const status = await own.evaluate(async () => {
    const headers = { "content-type": "application/json", "remit-csrf": localStorage.getItem("remit-csrf") };
    const answer = await fetch("/v1/agents/refund-desk/keys", { method: "POST", headers, body: "{}" });
    return answer.status;
  });
  assert.equal(status, 403);
  await own.context().close();
  browser.fine("403");
});

// ---- Inbox ------------------------------------------------------------------------------------------------

/** Nothing waits: what other tests leave would stand before one's own. */
async function emptied() {
  const { items } = await stage.read("/v1/inbox");
  for (const { call, bound, kind } of items) {
    const as = kind === "proposals" ? "dana@example.com" : "lee@example.com";
    await stage.tell(`/v1/inbox/${call}/answer`, { yes: false, bound, as });
  }
}

async function inbox(person = "lee@example.com") {
  const own = await browser.signedIn(stage, person);
  await own.keyboard.press("g");
  await own.keyboard.press("i");
  await own.getByRole("heading", { level: 1, name: "Inbox" }).waitFor();
  return own;
}

test("inbox: by keyboard to the second, a yes with a reason, and it is carried out", async () => {
  await emptied();
  const run = await stage.asking("ana@customers.example", "settle the old cases");
  const [first, second] = [await run.ask(12_000, "it broke"), await run.ask(13_000, "it broke, too", "ch_8")];
  const own = await inbox();
  await own.getByText("2 waiting, 2 for you").waitFor();
  await own.locator(`#one-${first.call}[aria-current]`).waitFor();
  await own.keyboard.press("j");
  await own.locator(`#one-${second.call}[aria-current]`).waitFor();
  await own.getByText("Nobody has checked them.").waitFor();
  await own.getByText("it broke, too").waitFor();
  await own.locator(".item pre").getByText('"amount_cents": 13000').waitFor();
  await own.getByText("irreversible: it cannot be undone").waitFor();
  await own.keyboard.press("y");
  const dialog = own.getByRole("dialog");
  await dialog.getByText('"charge_id": "ch_8"').waitFor();
  await own.keyboard.type("the photos show it");
  await own.keyboard.press("Enter");
  await dialog.waitFor({ state: "detached" });
  const ended = await run.ended(second.call);
  assert.equal(ended.outcome, "succeeded");
  assert.deepEqual([ended.approved, ended.words], [["lee@example.com"], "the photos show it"]);
  // On to the next one.
  await own.locator(`#one-${first.call}[aria-current]`).waitFor();
  await own.locator(`#one-${second.call}`).waitFor({ state: "detached" });
  await own.keyboard.press("?");
  await own.getByRole("dialog").getByText("in the inbox: yes, no, change").waitFor();
  await own.keyboard.press("Escape");
  await own.context().close();
});

test("inbox: a no takes no more than a yes, and the agent hears it", async () => {
  await emptied();
  const run = await stage.asking("ana@customers.example", "settle");
  const asked = await run.ask(14_000, "please");
  const own = await inbox();
  const [yes, no] = [own.getByRole("button", { name: "Yes" }), own.getByRole("button", { name: "No", exact: false }).first()];
  const [a, b] = [await yes.boundingBox(), await no.boundingBox()];
  assert.deepEqual([a.width, a.height, a.y], [b.width, b.height, b.y], "both are as large, beside each other");
  await mkdir(SHOTS, { recursive: true });
  await own.screenshot({ path: join(SHOTS, "inbox-yours.png") });
  await own.keyboard.press("n");
  assert.deepEqual(await accessible(own), []);
  await own.screenshot({ path: join(SHOTS, "inbox-no.png") });
  await own.keyboard.type("not without an order number");
  await own.keyboard.press("Enter");
  await own.getByText("Nothing waits for a person.").waitFor();
  const ended = await run.ended(asked.call);
  assert.equal(ended.verdict.reasons[0].code, "approval_denied");
  assert.equal(ended.words, "not without an order number");
  await own.getByText("How people answer").click();
  await own.getByRole("region", { name: "Approvers" }).getByText("lee@example.com").waitFor();
  await own.context().close();
});

test("inbox: changed and approved; what differs is seen while it is written", async () => {
  await emptied();
  const run = await stage.asking("ana@customers.example", "settle");
  const asked = await run.ask(20_000, "all of it");
  const own = await inbox();
  await own.keyboard.press("e");
  const dialog = own.getByRole("dialog");
  const field = dialog.getByLabel("What is sent instead");
  await field.fill(JSON.stringify({ amount_cents: 90_000, charge_id: "ch_9" }));
  await dialog.locator(".diff .came").getByText("90000").waitFor();
  await dialog.getByLabel("Why").fill("only half is ours");
  await dialog.getByRole("button", { name: "Approve as changed" }).click();
  await dialog.getByRole("alert").getByText("would not pass").waitFor();
  await field.fill(JSON.stringify({ amount_cents: 10_000, charge_id: "ch_9" }));
  await dialog.locator(".diff .went").getByText("20000").waitFor();
  await dialog.getByRole("button", { name: "Approve as changed" }).click();
  await dialog.waitFor({ state: "detached" });
  const ended = await run.ended(asked.call);
  assert.deepEqual([ended.outcome, ended.edited], ["succeeded", { amount_cents: 10_000, charge_id: "ch_9" }]);
  await own.context().close();
  browser.fine("409");
});

test("inbox: the next ones too, as narrow as it is said", async () => {
  await emptied();
  const run = await stage.asking("ana@customers.example", "settle");
  await run.ask(9_000, "a series");
  const own = await inbox();
  await own.getByRole("button", { name: "Also the next ones" }).click();
  const dialog = own.getByRole("dialog");
  await dialog.getByLabel("How many more").fill("1");
  await dialog.getByLabel("amount_cents").selectOption("most");
  await dialog.getByLabel("Why").fill("small ones are fine");
  await dialog.getByRole("button", { name: "Approve these" }).click();
  await dialog.waitFor({ state: "detached" });
  await own.getByText("Nothing waits for a person.").waitFor();
  assert.equal((await run.ask(8_000, "the next")).verdict.ruling, "allow");
  assert.equal((await run.ask(7_000, "one too many")).verdict.ruling, "ask");
  await own.context().close();
});

test("inbox: who may not answer looks, and whoever it is asked for may not", async () => {
  await emptied();
  const run = await stage.asking("kim@example.com", "settle Kim's own case");
  await run.ask(15_000, "Kim wants it");
  for (const [person, says] of [["vera@example.com", "only approvers of finance answer this"], ["kim@example.com", "it was asked for you"]]) {
    const own = await inbox(person);
    await own.getByText(says).waitFor();
    assert.equal(await own.getByRole("button", { name: /Yes|No|Change|next ones/ }).count(), 0, person);
    await own.keyboard.press("y");
    assert.equal(await own.getByRole("dialog").count(), 0, person);
    await own.context().close();
  }
});

test("inbox: what comes is counted in every window, and shown without being asked for", async () => {
  await emptied();
  const own = await inbox();
  await own.getByText("Nothing waits for a person.").waitFor();
  assert.equal(await own.locator("#waiting").isVisible(), false);
  const run = await stage.asking("ana@customers.example", "settle");
  const asked = await run.ask(16_000, "it broke");
  await own.locator(`#one-${asked.call}`).waitFor();
  await own.locator("#waiting").getByText("1").waitFor();
  const other = await inbox("kim@example.com");
  await other.keyboard.press("n");
  await other.keyboard.press("Enter");
  await own.getByText("This waits no longer.").or(own.getByText("Nothing waits for a person.")).waitFor();
  await own.locator("#waiting").waitFor({ state: "hidden" });
  for (const one of [own, other]) await one.context().close();
});

/** Five writes: one is replaced by a later one, two touch the same, one cannot be looked at, one cannot be undone. */
async function proposed() {
  await emptied();
  const run = await stage.proposing(HOSTILE);
  const first = await run.status("T-1", "waiting", "the customer is asked");
  const gone = await run.status("T-gone", "closed", "it is over");
  const note = await run.note("T-1", HOSTILE, HOSTILE);
  const better = await run.status("T-1", "closed", "the customer has answered");
  const refund = await run.refund("ch_7", 2_500, "it came broken");
  return { run, first, gone, note, better, refund };
}

test("inbox: what a run proposes is seen as one change, with what is there before and what stands against what", async () => {
  const { first, gone, note, better, refund } = await proposed();
  const own = await inbox("dana@example.com");
  await own.getByText("1 waiting, 1 for you").waitFor();
  const of = (call) => own.locator(`#change-${call}`);
  await own.getByRole("heading", { name: "what its run proposes" }).waitFor();
  await of(better).locator(".diff .went").getByText('"open"').waitFor();
  await of(better).locator(".diff .came").getByText('"closed"').waitFor();
  await of(first).getByText("Will not be done").waitFor();
  assert.equal(await of(first).getByRole("checkbox").count(), 0, "nobody approves what is replaced");
  await of(note).getByText("Touches the same as desk.set_status").waitFor();
  await of(better).getByText("Touches the same as desk.add_note").waitFor();
  await of(gone).getByText("What is there now is not known: its preview could not be read.").waitFor();
  await of(refund).getByText("irreversible").waitFor();
  assert.equal(await own.locator("input.pick:checked").count(), 4);
  assert.ok((await of(note).innerText()).includes(HARMLESS));
  await untouched(own);
  await mkdir(SHOTS, { recursive: true });
  for (const colorScheme of ["light", "dark"]) {
    await own.emulateMedia({ colorScheme });
    for (const width of [360, 1600]) {
      await own.setViewportSize({ width, height: 900 });
      assert.equal(await own.evaluate(() => document.documentElement.scrollWidth > innerWidth), false, `fits ${width}`);
      assert.deepEqual(await accessible(own), [], `${colorScheme} ${width}`);
      await own.screenshot({ path: join(SHOTS, `proposals-${colorScheme}-${width}.png`), fullPage: true });
    }
  }
  await own.context().close();
});

test("inbox: some of what a run proposes is approved by keyboard, and the rest is refused", async () => {
  const { run, first, gone, note, better, refund } = await proposed();
  const own = await inbox("dana@example.com");
  for (const call of [gone, refund]) {
    await own.locator(`#change-${call} input`).focus();
    await own.keyboard.press("Space");
  }
  // Another comes while somebody looks: what was left out stays left out.
  const late = await run.note("T-3", "one more", "it was forgotten");
  await own.locator(`#change-${late} input:checked`).waitFor();
  for (const call of [gone, refund]) assert.equal(await own.locator(`#change-${call} input`).isChecked(), false);
  await own.locator(`#change-${late} input`).focus();
  await own.keyboard.press("Space");
  await own.keyboard.press("y");
  const dialog = own.getByRole("dialog");
  await dialog.getByText("2 of 5 writes; what is left out is refused.").waitFor();
  assert.equal(await dialog.getByText("It cannot be undone.").count(), 0, "what cannot be undone is not ticked");
  await own.screenshot({ path: join(SHOTS, "proposals-some.png") });
  await own.keyboard.type("the money another time");
  await own.keyboard.press("Enter");
  await dialog.waitFor({ state: "detached" });
  for (const call of [note, better]) assert.equal((await run.ended(call)).outcome, "succeeded");
  for (const call of [gone, refund]) {
    const told = await run.ended(call);
    assert.deepEqual([told.verdict.reasons[0].code, told.words], ["approval_denied", "the money another time"]);
  }
  assert.equal((await run.ended(first)).verdict.reasons[0].code, "approval_cancelled");
  await own.getByText("Nothing waits for a person.").waitFor();
  await own.context().close();
});

test("inbox: what a run proposes is approved by mouse, or denied with words", async () => {
  const { run, gone, note, better, refund } = await proposed();
  const own = await inbox("dana@example.com");
  for (const call of [gone, note, better]) await own.locator(`#change-${call}`).getByRole("checkbox").click();
  await own.getByRole("button", { name: "Yes" }).click();
  const dialog = own.getByRole("dialog");
  await dialog.getByText("1 of 4 writes").waitFor();
  await dialog.getByText("It cannot be undone.").waitFor();
  await dialog.getByLabel("Why").fill("the photos show it");
  await dialog.getByRole("button", { name: "Approve" }).click();
  await dialog.waitFor({ state: "detached" });
  assert.equal((await run.ended(refund)).outcome, "succeeded");
  assert.equal((await run.ended(note)).verdict.ruling, "deny");

  const other = await proposed();
  await own.getByText("1 waiting, 1 for you").waitFor();
  for (const box of await own.getByRole("checkbox").all()) await box.uncheck();
  await own.keyboard.press("y");
  // Nothing that is ticked is a no, and is said as one.
  await dialog.getByRole("heading", { name: "Say no to what the run proposes" }).waitFor();
  await own.keyboard.type("not on a Sunday");
  await own.keyboard.press("Enter");
  await dialog.waitFor({ state: "detached" });
  for (const call of [other.note, other.refund]) assert.equal((await other.run.ended(call)).words, "not on a Sunday");
  await own.context().close();
});

test("inbox: who may not answer what is proposed is offered no ticks", async () => {
  await proposed();
  const own = await inbox();
  await own.getByText("only approvers of").waitFor();
  assert.equal(await own.getByRole("checkbox").count(), 0);
  await own.keyboard.press("y");
  assert.equal(await own.getByRole("dialog").count(), 0);
  await own.context().close();
});

// ---- All pages --------------------------------------------------------------------------------------------

async function everyPage() {
  await emptied();
  const settling = await stage.asking(HOSTILE, HOSTILE);
  await settling.ask(18_000, HOSTILE, HOSTILE);
  const asked = await settling.ask(19_000, HOSTILE, HOSTILE);
  const proposing = await stage.proposing(HOSTILE);
  const proposal = await proposing.note("T-9", HOSTILE, HOSTILE);
  const { items } = await stage.read("/v1/runs?only=denied&limit=200");
  const hostile = items.find((run) => run.person === HOSTILE);
  const { items: calls } = await stage.read(`/v1/calls?run=${hostile.run}`);
  const planned = await stage.planned("plain", HOSTILE);
  // Under a hostile reason, too, which then stands on each page.
  stage.halted ??= await stage.tell("/v1/halts", { scope: `run:${planned.id}`, why: HOSTILE });
  const child = await stage.run(HOSTILE, HOSTILE, await stage.run(HOSTILE, HOSTILE));
  return {
    plan: `/runs/${planned.id}`, family: `/runs/${child.id}`, searched: `/runs?q=${encodeURIComponent("<img src=x")}&inside=true`,
    now: "/", runs: "/runs?only=denied", run: `/runs/${hostile.run}`, calls: "/calls", call: `/calls/${calls[0].call}`, agents: "/agents",
    agent: "/agents/refund-desk", inbox: "/inbox", asked: `/inbox/${asked.call}`, proposals: `/inbox/${proposal}`, tools: "/tools", tool: "/tools/notes.read_note", rules: "/rules?target=write", spend: "/spend", ledger: "/ledger", nowhere: "/runs/run_x",
  };
}

test("hostile words are words everywhere", async () => {
  const pages = await everyPage();
  for (const [name, path] of Object.entries(pages)) {
    await go(path);
    for (const folded of await page.locator("main details > summary").all()) await folded.click();
    await page.waitForTimeout(50);
    await untouched(page);
    if (["runs", "run", "call", "asked", "proposals", "family", "searched"].includes(name)) assert.ok((await page.locator("main").innerText()).includes(HARMLESS), name);
  }
  browser.fine("404");
});

test("every page has its JSON", async () => {
  const pages = await everyPage();
  delete pages.nowhere;
  for (const [name, path] of Object.entries(pages)) {
    await go(path);
    const href = await page.getByRole("link", { name: "JSON", exact: true }).first().getAttribute("href");
    const answer = await page.request.get(stage.people + href);
    assert.equal(answer.status(), 200, name);
    assert.match(answer.headers()["content-type"], /^application\/json/);
  }
});

test("every page is accessible, fits, and is kept as a picture: light and dark, narrow and wide", async () => {
  await mkdir(SHOTS, { recursive: true });
  const pages = await everyPage();
  const found = [];
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    for (const width of [360, 1600]) {
      await page.setViewportSize({ width, height: 900 });
      for (const [name, path] of Object.entries(pages)) {
        await go(path);
        const first = page.locator(".waterfall > details > summary, .events > details > summary").first();
        if (await first.count()) await first.click();
        if (await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)) found.push(`${name} is wider than ${width}`);
        // Colours differ by scheme and layout by width: each is looked at once.
        const wrong = (colorScheme === "light") === (width === 360) ? [] : await accessible(page);
        found.push(...wrong.map((one) => `${name} ${colorScheme} ${width}: ${one}`));
        await page.screenshot({ path: join(SHOTS, `${name}-${colorScheme}-${width}.png`) });
      }
      await go("/");
      await keys("s");
      await page.getByRole("dialog").waitFor();
      found.push(...(await accessible(page)).map((one) => `stop ${colorScheme} ${width}: ${one}`));
      await page.screenshot({ path: join(SHOTS, `stop-${colorScheme}-${width}.png`) });
      await keys("Escape");
    }
  }
  assert.deepEqual(found, []);
  browser.fine("404");
});

test("the whole console is small: at most 200 KB compressed", async () => {
  const paths = ["/console/app.js", "/console/console.css", "/console/icon.svg"];
  const shell = await page.request.get(`${stage.people}/runs`, { headers: { accept: "text/html" } });
  const texts = [await shell.text()];
  for (let at = 0; at < paths.length; at += 1) {
    const text = await (await page.request.get(stage.people + paths[at])).text();
    texts.push(text);
    for (const [, name] of text.matchAll(/from "\.\/([a-z]+\.js)"/g)) if (!paths.includes(`/console/${name}`)) paths.push(`/console/${name}`);
  }
  assert.ok(paths.length > 20, "all modules were followed");
  const bytes = texts.reduce((sum, text) => sum + gzipSync(text).length, 0);
  console.log(`the console is ${Math.round(bytes / 1024)} KB compressed, in ${texts.length} files`);
  assert.ok(bytes <= 200 * 1024, `${bytes} bytes`);
});

test("a Remit that nobody has told anything says on each page what to do next", async () => {
  const bare = await Stage.up({ bare: true });
  const own = await browser.signedIn(bare);
  try {
    const said = { "/": "Mint a key", "/inbox": "A call comes here when", "/runs": "An agent opens one", "/calls": "See all calls", "/agents": "agents/NAME.yaml",
      "/tools": "tools/SERVER.yaml", "/rules": "It takes an", "/spend": "A run counts when it is closed", "/ledger": "Events 0 to" };
    for (const [path, words] of Object.entries(said)) {
      await own.goto(bare.people + path);
      await own.locator("main h1").waitFor();
      await own.getByText(words).first().waitFor();
      assert.deepEqual(await accessible(own), [], path);
    }
  } finally {
    await own.context().close();
    await bare.down();
  }
});
