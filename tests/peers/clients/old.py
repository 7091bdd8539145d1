"""A client on the official Python SDK 1.x: `old.py URL KEY`. Prints what it got as one JSON object."""

import asyncio
import json
import sys

from mcp import ClientSession, McpError
from mcp.client.streamable_http import streamablehttp_client

url, key = sys.argv[1:]


async def main():
    async with streamablehttp_client(url, headers={"Authorization": f"Bearer {key}"}) as (read, write, _):
        async with ClientSession(read, write) as client:
            progress = []

            async def heard(done, _total, _message):
                progress.append(done)

            said = {"version": (await client.initialize()).protocolVersion}
            said["tools"] = [tool.name for tool in (await client.list_tools()).tools]
            allowed = await client.call_tool("modern.add", {"a": 2, "b": 3, "remit_reason": "to know"})
            said["allowed"] = [allowed.content[0].text, allowed.structuredContent, allowed.isError]
            refused = await client.call_tool("modern.add", {"a": 200, "b": 3})
            said["refused"] = [refused.isError, refused.content[0].text]
            counted = await client.call_tool("modern.count", {"to": 3}, progress_callback=heard)
            said["counted"] = [counted.content[0].text, progress]
            try:
                await client.call_tool("modern.era", {})
            except McpError as error:
                said["unknown"] = error.error.code
            said["resource"] = (await client.read_resource("note://a")).contents[0].text
            await client.send_ping()
            await client.set_logging_level("error")
            print(json.dumps(said))


asyncio.run(main())
