"""The official Python SDK 1.x: `old.py URL KEY CALLS`. Prints `[is it an error, its text]` for each call."""

import asyncio
import json
import sys

from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client

url, key, calls = sys.argv[1:]


async def main():
    async with streamablehttp_client(url, headers={"Authorization": f"Bearer {key}"}) as (read, write, _):
        async with ClientSession(read, write) as client:
            await client.initialize()
            said = []
            for call in json.loads(calls):
                answer = await client.call_tool(call["tool"], call["args"])
                said.append([answer.isError, "".join(part.text for part in answer.content)])
            print(json.dumps(said))


asyncio.run(main())
