"""A client on FastMCP: `fast.py URL KEY`. Prints what it got as one JSON object."""

import asyncio
import json
import sys

from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport

url, key = sys.argv[1:]


async def main():
    async with Client(StreamableHttpTransport(url, headers={"Authorization": f"Bearer {key}"})) as client:
        progress = []

        async def heard(done, _total, _message):
            progress.append(done)

        said = {"tools": [tool.name for tool in await client.list_tools()]}
        allowed = await client.call_tool("modern.add", {"a": 2, "b": 3, "remit_reason": "to know"})
        said["allowed"] = [allowed.content[0].text, allowed.structured_content, allowed.is_error]
        refused = await client.call_tool("modern.add", {"a": 200, "b": 3}, raise_on_error=False)
        said["refused"] = [refused.is_error, refused.content[0].text]
        counted = await client.call_tool("modern.count", {"to": 3}, progress_handler=heard)
        said["counted"] = [counted.content[0].text, progress]
        try:
            await client.call_tool("modern.era", {})
        except Exception as error:
            said["unknown"] = error.error.code
        said["resource"] = (await client.read_resource("note://a"))[0].text
        print(json.dumps(said))


asyncio.run(main())
