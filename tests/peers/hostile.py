"""An MCP server over standard input and output that misbehaves by the name of the tool that is called.

How it begins is its first argument: `legacy`, `stateless`, `crash`, `dies_on_discover`, `mute_on_discover`.
"""

import json
import os
import signal
import subprocess
import sys
import time

BEGIN = sys.argv[1]
TOOLS = ["ok", "tool_error", "slow", "malformed", "wrong_id", "huge", "chatter", "endless", "dies", "env",
         "grandchild", "progress", "asks", "whispers"]


def send(message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def answer(request, result):
    send({"jsonrpc": "2.0", "id": request["id"], "result": result})


def refuse(request, code):
    send({"jsonrpc": "2.0", "id": request["id"], "error": {"code": code, "message": "no"}})


def call(request):
    params = request["params"]
    match params["name"]:
        case "ok":
            answer(request, {"content": []})
        case "tool_error":
            answer(request, {"content": [], "isError": True})
        case "slow":
            pass
        case "malformed":
            print(f'{{"jsonrpc": "2.0", "id": {request["id"]}, "result": ', flush=True)
        case "wrong_id":
            send({"jsonrpc": "2.0", "id": 999999, "result": {"content": []}})
        case "huge":
            answer(request, {"content": [], "text": "x" * 3_000_000})
        case "chatter":
            print("Server is up and running!\n\n{ not json", flush=True)
            answer(request, {"content": []})
        case "endless":
            while True:
                sys.stdout.write("x" * 65536)
                sys.stdout.flush()
        case "dies":
            print("Traceback (most recent call last):\n  oops: " + os.environ.get("TOKEN", ""), file=sys.stderr)
            sys.stderr.flush()
            os._exit(3)
        case "env":
            answer(request, {"env": dict(os.environ), "cwd": os.getcwd()})
        case "grandchild":
            child = subprocess.Popen(["sleep", "1000"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            answer(request, {"pid": child.pid, "own": os.getpid()})
        case "progress":
            token = params["_meta"].get("progressToken")
            for n in (1, 2):
                send({"jsonrpc": "2.0", "method": "notifications/progress",
                      "params": {"progressToken": token, "progress": n}})
            answer(request, {"content": []})
        case "asks":
            send({"jsonrpc": "2.0", "id": "q", "method": "roots/list"})
            send({"jsonrpc": "2.0", "id": "p", "method": "ping"})
            answer(request, {"replies": [json.loads(sys.stdin.readline()), json.loads(sys.stdin.readline())]})
        case "whispers":
            answer(request, {"token": os.environ.get("TOKEN")})


CANCELLED = []


def take(message):
    stateless = BEGIN == "stateless"
    match message.get("method"):
        case "server/discover" if stateless:
            answer(message, {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}},
                             "resultType": "complete", "ttlMs": 0, "cacheScope": "private"})
        case "server/discover" if BEGIN == "dies_on_discover":
            os._exit(2)
        case "server/discover" if BEGIN == "mute_on_discover":
            pass
        case "initialize" if not stateless:
            answer(message, {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                             "serverInfo": {"name": "hostile", "version": "1"}})
        case "tools/list":
            answer(message, {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in TOOLS]})
        case "tools/call":
            call(message)
        case "notifications/cancelled":
            CANCELLED.append(message["params"]["requestId"])
            print(f"cancelled {message['params']['requestId']}", file=sys.stderr, flush=True)
        case _ if "id" in message and "method" in message:
            refuse(message, -32601)


if BEGIN == "crash":
    print("no configuration", file=sys.stderr, flush=True)
    sys.exit(1)
if "stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
for line in iter(sys.stdin.readline, ""):
    take(json.loads(line))
while "stubborn" in sys.argv:
    time.sleep(1)
