"""A server on the official Python SDK that speaks both eras: over standard input and output, or on a port.

The port is its first argument; without one it speaks over standard input and output.
"""

import sys

from mcp.server.mcpserver import Context, MCPServer

server = MCPServer("modern", version="1", instructions="Count and add.")


@server.tool()
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


@server.tool()
async def count(to: int, ctx: Context) -> str:
    """Counts, and says how far it is."""
    for n in range(to):
        await ctx.report_progress(n + 1, to)
    return f"counted to {to}"


@server.tool()
def fails() -> str:
    """Always fails."""
    raise ValueError("on purpose")


@server.tool()
def era(ctx: Context) -> str:
    """Says which revision the request came in."""
    return str(ctx.request_context.protocol_version)


@server.resource("note://{name}")
def note(name: str) -> str:
    """A note."""
    return f"a note about {name}"


if len(sys.argv) > 1:
    server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
else:
    server.run()
