// How long until something is seen, with a hundred thousand runs in the store, how ten thousand rows are paged, and how the page keeps
// up: `cargo xtask console --paint [RUNS]`.
// Numbers to read; nothing is asserted.

import { Browser, Stage } from "./stage.mjs";

const RUNS = Number(process.argv[2] ?? 100_000);
const TIMES = 9;
const AT_ONCE = 128;

const middle = (list) => Math.round(list.sort((a, b) => a - b)[Math.floor(list.length / 2)]);

/** Through ten thousand rows, fifty at a time, as somebody does who presses “Older”. */
async function paged(page) {
  const times = [];
  await page.goto(`${stage.people}/runs`);
  await page.locator("tbody tr").first().waitFor();
  for (let turn = 0; turn < Math.min(200, Math.floor(RUNS / 50) - 1); turn += 1) {
    const first = await page.locator("tbody .id").first().getAttribute("title");
    const began = performance.now();
    await page.getByRole("link", { name: "Older" }).click();
    await page.waitForFunction((before) => document.querySelector("tbody .id")?.title !== before, first);
    times.push(performance.now() - began);
  }
  const [early, late] = [times.slice(0, 20), times.slice(-20)];
  console.log(`${times.length * 50} rows paged: a page takes ${middle(early)} ms at the beginning and ${middle(late)} ms at the end`);
  for (const [name, query] of [["in names", "q=nobody-at-all"], ["in intents and arguments", "q=nobody-at-all&inside=true"]]) {
    const began = performance.now();
    await page.goto(`${stage.people}/runs?${query}`);
    await page.locator(".empty").waitFor({ timeout: 30_000 });
    console.log(`a search ${name} that finds nothing takes ${Math.round(performance.now() - began)} ms`);
  }
}

/** How the page keeps up with a thousand verdicts a second: those are made here, for no debug build makes so many. */
async function smooth() {
  const page = await browser.signedIn(stage);
  await page.addInitScript(() => {
    globalThis.EventSource = class {
      constructor() {
        let index = 1_000_000;
        const body = (ruling) => ({ agent: "refund-desk", call: `call_${index}`, run: "run_x", ruling, tool: "desk.lookup_ticket", reasons: ruling === "deny" ? [{ code: "no_rule_allows" }] : [] });
        const event = (kind, it) => this.onmessage?.({ data: JSON.stringify({ index: index += 1, event: { at: Date.now(), kind, body: it } }) });
        setTimeout(() => this.onopen?.());
        this.timer = setInterval(() => {
          for (let number = 0; number < 50; number += 1) {
            event("call_decided", body(number % 10 ? "allow" : "deny"));
            event("call_finished", { call: `call_${index - 1}`, outcome: "succeeded" });
          }
        }, 50);
      }
      close() { clearInterval(this.timer); }
    };
  });
  await page.goto(`${stage.people}/`);
  await page.getByText(/a sample: 20 of/).waitFor();
  const { frames, longest, said } = await page.evaluate(() => new Promise((done) => {
    const gaps = [];
    let last = performance.now();
    const began = last;
    const frame = (now) => {
      gaps.push(now - last);
      last = now;
      if (now - began < 5000) requestAnimationFrame(frame);
      else done({ frames: gaps.length / 5, longest: Math.max(...gaps), said: document.getElementById("sampled").textContent });
    };
    requestAnimationFrame(frame);
  }));
  console.log(`1000 verdicts a second: ${Math.round(frames)} frames a second, the longest wait for one ${Math.round(longest)} ms; it says: ${said}`);
}

const stage = await Stage.up();
const browser = await Browser.up();
try {
  let left = RUNS;
  const open = async () => { while (left-- > 0) await stage.run(`person ${left % 1000}@customers.example`, "one of many"); };
  const began = performance.now();
  await Promise.all(Array.from({ length: AT_ONCE }, open));
  console.log(`${RUNS} runs opened in ${Math.round((performance.now() - began) / 1000)} s`);
  for (;;) {
    const { head_index: head } = await stage.read("/v1/status");
    const { as_of: known } = await stage.read(`/v1/runs?limit=1&after=${head - 1}`);
    if (known >= head) break;
  }
  const page = await browser.signedIn(stage);
  const pages = { now: ["/", ".numbers"], runs: ["/runs", "tbody tr"], search: ["/runs?q=person%2077@", "tbody tr"],
    nothing: ["/runs?q=nobody-at-all", ".empty"], calls: ["/calls", ".empty, tbody tr"], agents: ["/agents", "tbody tr"], ledger: ["/ledger", ".events"] };
  for (const [name, [path, content]] of Object.entries(pages)) {
    const paints = [];
    const full = [];
    for (let time = 0; time < TIMES; time += 1) {
      await page.goto(stage.people + path, { waitUntil: "commit" });
      await page.locator(content).first().waitFor();
      full.push(await page.evaluate(() => performance.now()));
      paints.push(await page.evaluate(() => new Promise((done) => {
        new PerformanceObserver((list) => done(list.getEntriesByName("first-contentful-paint")[0]?.startTime)).observe({ type: "paint", buffered: true });
      })));
    }
    console.log(`${name.padEnd(8)} first paint ${String(middle(paints)).padStart(4)} ms   with its content ${String(middle(full)).padStart(4)} ms`);
  }
  await paged(page);
  await smooth();
} finally {
  await browser.down();
  await stage.down();
}
