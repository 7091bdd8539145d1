"""Waits for people, on the official Python SDK 2.x: `asks.py URL KEY MODE A [STATE]`. Prints one JSON object.

A is a number to add to, or `plan`: a plan of two steps is proposed and committed; or `commit`: it is committed again.

MODE: `manual` (2026-07-28) prints what is wanted and ends; with STATE it brings that back, as a client that was started
anew. `legacy` waits as long as it is held. `sent` (2025-11-25) can be sent to an address, and prints which.
"""

import asyncio
import json
import sys

import httpx2
from mcp import types
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

url, key, mode, a, *state = sys.argv[1:]
sent = []
STEPS = [
    {"id": "add", "tool": "modern.add", "args": {"a": 1, "b": 2}},
    {"id": "last", "tool": "modern.era", "args": {}, "after": ["add"]},
]


async def wanted(client):
    if a not in ("plan", "commit"):
        return "modern.add", {"a": int(a), "b": 1}
    if a == "plan" and not state:
        planned = await client.call_tool("remit.plan", {"steps": STEPS})
        if planned.is_error:
            sys.exit(planned.content[0].text)
    return "remit.commit", {}


async def elicited(_context, params):
    sent.append({"mode": params.mode, "url": getattr(params, "url", None), "message": params.message})
    return types.ElicitResult(action="accept")


async def main():
    http = httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}, timeout=60)
    can = {} if mode == "legacy" else {"elicitation_callback": elicited}
    era = "auto" if mode == "manual" else "legacy"
    async with Client(streamable_http_client(url, http_client=http), mode=era, **can) as client:
        said = {"version": client.protocol_version}
        heard = []

        async def progress(_done, _total, message):
            heard.append(message)

        tool, args = await wanted(client)
        if mode == "manual":
            back = {"request_state": state[0]} if state else {}
            result = await client.session.call_tool(tool, args, allow_input_required=True, **back)
        else:
            result = await client.call_tool(tool, args, progress_callback=progress)
        if isinstance(result, types.InputRequiredResult):
            said["state"] = result.request_state
            requests = (result.input_requests or {}).items()
            said["wanted"] = {name: it.model_dump(mode="json") for name, it in requests}
        else:
            said["error"] = result.is_error
            said["text"] = result.content[0].text
            said["structured"] = result.structured_content
            said["meta"] = result.meta
        status = await client.call_tool("remit.status", {})
        said["waiting"] = [it["ticket"] for it in status.structured_content["waiting"]]
        said["sent"], said["progress"] = sent, heard
        print(json.dumps(said))


asyncio.run(main())
