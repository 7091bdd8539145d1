"""Pydantic AI, with a model that asks for the given calls: `pydantic_agent.py URL KEY CALLS`. Prints `[error, text]` for each."""

import asyncio
import json
import sys

from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.messages import ModelResponse, RetryPromptPart, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import FunctionModel

url, key, calls = sys.argv[1:]
calls = json.loads(calls)
heard = []


def model(messages, _info):
    parts = [part for message in messages for part in message.parts]
    heard[:] = [part for part in parts if isinstance(part, (ToolReturnPart, RetryPromptPart))]
    if len(heard) == len(calls):
        return ModelResponse(parts=[TextPart("done")])
    call = calls[len(heard)]
    return ModelResponse(parts=[ToolCallPart(call["tool"], call["args"])])


def text(part):
    return part.content if isinstance(part.content, str) else json.dumps(part.content, default=str)


async def main():
    server = MCPToolset(url, headers={"Authorization": f"Bearer {key}"})
    agent = Agent(FunctionModel(model), toolsets=[server], retries=3)
    async with agent:
        await agent.run("go")
    print(json.dumps([[getattr(part, "outcome", "retried") != "success", text(part)] for part in heard]))


asyncio.run(main())
