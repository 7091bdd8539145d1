"""Commits a plan and listens, on the official Python SDK 2.x: `commits.py URL KEY auto|legacy`. Prints one JSON object."""

import asyncio
import json
import sys

import httpx2
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

url, key, mode = sys.argv[1:]
STEPS = [
    {"id": "add", "tool": "modern.add", "args": {"a": 1, "b": 2}},
    {"id": "last", "tool": "modern.era", "args": {}, "after": ["add"]},
]


async def main():
    http = httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}, timeout=60)
    async with Client(streamable_http_client(url, http_client=http), mode=mode) as client:
        heard = []

        async def progress(done, total, message):
            heard.append([done, total, message])

        said = {"version": client.protocol_version}
        planned = await client.call_tool("remit.plan", {"steps": STEPS})
        said["planned"] = planned.structured_content["ruling"]
        if planned.is_error:
            sys.exit(planned.content[0].text)
        committed = await client.call_tool("remit.commit", {}, progress_callback=progress)
        said["stage"] = committed.structured_content["stage"]
        said["progress"] = heard
        status = await client.call_tool("remit.status", {})
        said["plan"] = status.structured_content["plan"]["stage"]
        print(json.dumps(said))


asyncio.run(main())
