"""Waits for people, on the official Python SDK 1.x, which is held: `asks_old.py URL KEY A`. Prints one JSON object.

A is a number to add to, or `plan`: a plan of two steps is proposed and committed.
"""

import asyncio
import json
import sys

from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client

url, key, a = sys.argv[1:]
STEPS = [
    {"id": "add", "tool": "modern.add", "args": {"a": 1, "b": 2}},
    {"id": "last", "tool": "modern.era", "args": {}, "after": ["add"]},
]


async def wanted(client):
    if a != "plan":
        return "modern.add", {"a": int(a), "b": 1}
    planned = await client.call_tool("remit.plan", {"steps": STEPS})
    if planned.isError:
        sys.exit(planned.content[0].text)
    return "remit.commit", {}


async def main():
    async with streamablehttp_client(url, headers={"Authorization": f"Bearer {key}"}) as (read, write, _):
        async with ClientSession(read, write) as client:
            heard = []

            async def progress(_done, _total, message):
                heard.append(message)

            said = {"version": (await client.initialize()).protocolVersion}
            tool, args = await wanted(client)
            result = await client.call_tool(tool, args, progress_callback=progress)
            said["error"] = result.isError
            said["text"] = result.content[0].text
            said["structured"] = result.structuredContent
            said["meta"] = result.meta
            said["progress"] = heard
            print(json.dumps(said))


asyncio.run(main())
