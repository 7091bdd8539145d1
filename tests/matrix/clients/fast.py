"""FastMCP: `fast.py URL KEY CALLS`. Prints `[is it an error, its text]` for each call."""

import asyncio
import json
import sys

from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport

url, key, calls = sys.argv[1:]


async def main():
    async with Client(StreamableHttpTransport(url, headers={"Authorization": f"Bearer {key}"})) as client:
        said = []
        for call in json.loads(calls):
            answer = await client.call_tool(call["tool"], call["args"], raise_on_error=False)
            said.append([answer.is_error, "".join(part.text for part in answer.content)])
        print(json.dumps(said))


asyncio.run(main())
