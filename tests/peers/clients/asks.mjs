// Waits for people, on the official TypeScript SDK, which fulfils by itself what a result requires (2026-07-28), or is
// held (2025-11-25): `asks.mjs MODULES URL KEY auto|legacy A`. Prints what it got as JSON. A is a number to add to, or
// `plan`: a plan of two steps is proposed and committed.

import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [modules, url, key, mode, a] = process.argv.slice(2);
const found = createRequire(pathToFileURL(modules + '/')).resolve('@modelcontextprotocol/client');
const { Client, StreamableHTTPClientTransport } = await import(pathToFileURL(found));

const requestInit = { headers: { Authorization: `Bearer ${key}` } };
const capabilities = { elicitation: { url: {} } };
const client = new Client({ name: 'peer', version: '1' }, { capabilities, versionNegotiation: { mode } });
const sent = [];
client.setRequestHandler('elicitation/create', request => {
  sent.push({ mode: request.params.mode, url: request.params.url });
  return { action: 'accept' };
});
await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit }));
const said = { version: client.getNegotiatedProtocolVersion(), sent };
const steps = [
  { id: 'add', tool: 'modern.add', args: { a: 1, b: 2 } },
  { id: 'last', tool: 'modern.era', args: {}, after: ['add'] },
];
async function wanted() {
  if (a !== 'plan') return { name: 'modern.add', arguments: { a: Number(a), b: 1 } };
  const planned = await client.callTool({ name: 'remit.plan', arguments: { steps } });
  if (planned.isError) throw new Error(planned.content[0].text);
  return { name: 'remit.commit', arguments: {} };
}
const heard = [];
const onprogress = ({ progress, total, message }) => heard.push([progress, total, message]);
const result = await client.callTool(await wanted(), { onprogress });
said.progress = heard;
Object.assign(said, { error: result.isError ?? false, text: result.content[0].text, structured: result.structuredContent, meta: result._meta });
await client.close();
console.log(JSON.stringify(said));
