// How long until something is seen, with a hundred thousand runs in the store: `cargo xtask console --paint [RUNS]`.
// Numbers to read; nothing is asserted.

import { Browser, Stage } from "./stage.mjs";

const RUNS = Number(process.argv[2] ?? 100_000);
const TIMES = 9;
const AT_ONCE = 128;

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
  const pages = { now: ["/", ".numbers"], runs: ["/runs", "tbody tr"], search: ["/runs?q=person%20777@", "tbody tr"],
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
    const middle = (list) => Math.round(list.sort((a, b) => a - b)[Math.floor(list.length / 2)]);
    console.log(`${name.padEnd(8)} first paint ${String(middle(paints)).padStart(4)} ms   with its content ${String(middle(full)).padStart(4)} ms`);
  }
} finally {
  await browser.down();
  await stage.down();
}
