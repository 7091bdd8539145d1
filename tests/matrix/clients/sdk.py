"""The official Python SDK 2.x: `sdk.py URL KEY CALLS`. Prints `[is it an error, its text]` for each call."""

import asyncio
import json
import sys

import httpx2
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

url, key, calls = sys.argv[1:]


async def main():
    http = httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"})
    async with Client(streamable_http_client(url, http_client=http)) as client:
        said = []
        for call in json.loads(calls):
            answer = await client.call_tool(call["tool"], call["args"])
            said.append([answer.is_error, "".join(part.text for part in answer.content)])
        print(json.dumps(said))


asyncio.run(main())
