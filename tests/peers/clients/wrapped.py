"""A client on the official Python SDK that speaks over standard input and output: one read, one call that is refused.

Its arguments: `legacy` or `auto`, then the command of the server and its arguments. It prints what it saw, as JSON.
"""

import asyncio
import json
import os
import sys

from mcp import Client, StdioServerParameters


async def main(mode, command, *args):
    server = StdioServerParameters(command=command, args=list(args), env=dict(os.environ))
    async with Client(server, mode=mode) as client:
        listed = await client.list_tools()
        sums = await asyncio.gather(
            *(client.call_tool("add", {"a": n, "b": n}) for n in range(8))
        )
        told = []
        counted = await client.call_tool(
            "count", {"to": 3}, progress_callback=lambda done, total, words: note(told, done)
        )
        refused = await client.call_tool("add", {"a": 1000, "b": 1})
        print(json.dumps({
            "version": client.protocol_version,
            "tools": sorted(tool.name for tool in listed.tools),
            "sums": [int(answer.content[0].text) for answer in sums],
            "counted": counted.content[0].text,
            "progress": told,
            "refused": [refused.is_error, refused.content[0].text],
        }))


async def note(told, done):
    told.append(done)


asyncio.run(main(*sys.argv[1:]))
