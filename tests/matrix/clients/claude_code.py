"""Claude Code, with a model that asks for the given calls: `claude_code.py URL KEY CALLS`. Prints `[error, text]` for each.

The model is an endpoint of this process that speaks the Messages API, streaming, and asks for the next call
whenever it is told the answer of the one before.
"""

import asyncio
import http.server
import json
import re
import sys
import tempfile
import threading

from claude_agent_sdk import ClaudeAgentOptions, query

url, key, calls = sys.argv[1:]
calls = json.loads(calls)
heard = []


def name(tool):
    return "mcp__remit__" + re.sub(r"[^A-Za-z0-9_-]", "_", tool)


def text(content):
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def answer(request):
    """The next call where the tools of Remit are offered; else, and at the end, a word."""
    offered = {tool.get("name") for tool in request.get("tools", [])}
    blocks = [
        block for message in request["messages"] if isinstance(message["content"], list)
        for block in message["content"] if block.get("type") == "tool_result"
    ]
    if not any(name(call["tool"]) in offered for call in calls):
        return {"type": "text", "text": "done"}
    heard[:] = [[bool(block.get("is_error")), text(block.get("content", ""))] for block in blocks]
    if len(heard) >= len(calls):
        return {"type": "text", "text": "done"}
    call = calls[len(heard)]
    return {"type": "tool_use", "id": f"toolu_{len(heard)}", "name": name(call["tool"]), "input": call["args"]}


def events(block):
    usage = {"input_tokens": 1, "output_tokens": 1}
    start = {"id": "msg_1", "type": "message", "role": "assistant", "model": "scripted", "content": [],
             "stop_reason": None, "stop_sequence": None, "usage": usage}
    is_call = block["type"] == "tool_use"
    empty = {**block, "input": {}} if is_call else {**block, "text": ""}
    delta = ({"type": "input_json_delta", "partial_json": json.dumps(block["input"])} if is_call
             else {"type": "text_delta", "text": block["text"]})
    reason = "tool_use" if is_call else "end_turn"
    yield {"type": "message_start", "message": start}
    yield {"type": "content_block_start", "index": 0, "content_block": empty}
    yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    yield {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage}
    yield {"type": "message_stop"}


class Endpoint(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "count_tokens" in self.path:
            kind, body = "application/json", b'{"input_tokens":1}'
        elif request.get("stream"):
            lines = (f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events(answer(request)))
            kind, body = "text/event-stream", "".join(lines).encode()
        else:
            whole = {"id": "msg_1", "type": "message", "role": "assistant", "model": "scripted",
                     "content": [answer(request)], "stop_reason": "end_turn", "stop_sequence": None,
                     "usage": {"input_tokens": 1, "output_tokens": 1}}
            kind, body = "application/json", json.dumps(whole).encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


async def main():
    endpoint = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    threading.Thread(target=endpoint.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as home:
        options = ClaudeAgentOptions(
            mcp_servers={"remit": {"type": "http", "url": url, "headers": {"Authorization": f"Bearer {key}"}}},
            permission_mode="bypassPermissions", cwd=home, setting_sources=[], max_turns=20,
            env={
                "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{endpoint.server_port}", "ANTHROPIC_API_KEY": "scripted",
                "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "IS_SANDBOX": "1", "CLAUDE_CONFIG_DIR": home,
                "HOME": home, "ENABLE_TOOL_SEARCH": "false",
            },
            stderr=lambda line: print(line, file=sys.stderr),
        )
        async for _ in query(prompt="go", options=options):
            pass
    print(json.dumps(heard))


asyncio.run(main())
