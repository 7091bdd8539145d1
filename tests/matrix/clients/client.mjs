// The official TypeScript SDK: `client.mjs MODULES URL KEY CALLS`. Prints `[is it an error, its text]` for each call.

import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [modules, url, key, calls] = process.argv.slice(2);
const found = createRequire(pathToFileURL(modules + '/')).resolve('@modelcontextprotocol/client');
const { Client, StreamableHTTPClientTransport } = await import(pathToFileURL(found));

const requestInit = { headers: { Authorization: `Bearer ${key}` } };
const client = new Client({ name: 'matrix', version: '1' }, { versionNegotiation: { mode: 'auto' } });
await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit }));
const said = [];
for (const { tool, args } of JSON.parse(calls)) {
  const answer = await client.callTool({ name: tool, arguments: args });
  said.push([answer.isError ?? false, answer.content.map(part => part.text).join('')]);
}
await client.close();
console.log(JSON.stringify(said));
