// A client on the official TypeScript SDK: `client.mjs MODULES URL KEY auto|legacy`. Prints what it got as JSON.

import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [modules, url, key, mode] = process.argv.slice(2);
const found = createRequire(pathToFileURL(modules + '/')).resolve('@modelcontextprotocol/client');
const { Client, StreamableHTTPClientTransport } = await import(pathToFileURL(found));

const requestInit = { headers: { Authorization: `Bearer ${key}` } };
const client = new Client({ name: 'peer', version: '1' }, { versionNegotiation: { mode } });
await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit }));
const call = (name, args, options) => client.callTool({ name, arguments: args }, options);

const said = { version: client.getNegotiatedProtocolVersion() };
said.tools = (await client.listTools()).tools.map(tool => tool.name);
const allowed = await call('modern.add', { a: 2, b: 3, remit_reason: 'to know' });
said.allowed = [allowed.content[0].text, allowed.structuredContent, allowed.isError ?? false];
const refused = await call('modern.add', { a: 200, b: 3 });
said.refused = [refused.isError, refused.content[0].text];
const progress = [];
const counted = await call('modern.count', { to: 3 }, { onprogress: step => progress.push(step.progress) });
said.counted = [counted.content[0].text, progress];
await call('modern.era', {}).catch(error => { said.unknown = error.code; });
said.resource = (await client.readResource({ uri: 'note://a' })).contents[0].text;
await client.close();
console.log(JSON.stringify(said));
