"""A client on the official Python SDK 2.x: `sdk.py URL KEY auto|legacy`. Prints what it got as one JSON object."""

import asyncio
import json
import sys

import httpx2
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

url, key, mode = sys.argv[1:]


async def main():
    http = httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}, timeout=60)
    async with Client(streamable_http_client(url, http_client=http), mode=mode) as client:
        progress = []

        async def heard(done, _total, _message):
            progress.append(done)

        said = {"version": client.protocol_version}
        said["tools"] = [tool.name for tool in (await client.list_tools()).tools]
        allowed = await client.call_tool("modern.add", {"a": 2, "b": 3, "remit_reason": "to know"})
        said["allowed"] = [allowed.content[0].text, allowed.structured_content, allowed.is_error]
        refused = await client.call_tool("modern.add", {"a": 200, "b": 3})
        said["refused"] = [refused.is_error, refused.content[0].text]
        counted = await client.call_tool("modern.count", {"to": 3}, progress_callback=heard)
        said["counted"] = [counted.content[0].text, progress]
        try:
            await client.call_tool("modern.era", {})
        except Exception as error:
            said["unknown"] = error.error.code
        said["resource"] = (await client.read_resource("note://a")).contents[0].text
        print(json.dumps(said))


asyncio.run(main())
