"""OpenAI Agents, with a model that asks for the given calls: `openai_agents.py URL KEY CALLS`. Prints `[null, text]` for each.

This framework tells its model the text of a tool's answer and not whether it was an error.
"""

import asyncio
import json
import sys

from agents import Agent, Model, ModelResponse, RunConfig, Runner, Usage
from agents.mcp import MCPServerStreamableHttp
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

url, key, calls = sys.argv[1:]
calls = json.loads(calls)


class Scripted(Model):
    def __init__(self):
        self.heard = []

    async def get_response(self, system_instructions, input, *args, **kwargs):
        items = input if isinstance(input, list) else []
        self.heard = [item for item in items if item.get("type") == "function_call_output"]
        turn = len(self.heard)
        if turn < len(calls):
            call = calls[turn]
            item = ResponseFunctionToolCall(
                type="function_call", call_id=f"call-{turn}", name=call["tool"], arguments=json.dumps(call["args"])
            )
        else:
            text = ResponseOutputText(type="output_text", text="done", annotations=[])
            item = ResponseOutputMessage(
                id="message", type="message", role="assistant", status="completed", content=[text]
            )
        return ModelResponse(output=[item], usage=Usage(), response_id=None)

    def stream_response(self, *args, **kwargs):
        raise NotImplementedError("nothing here streams")


def text(output):
    if isinstance(output, str):
        return output
    return "".join(part.get("text", "") for part in output)


async def main():
    params = {"url": url, "headers": {"Authorization": f"Bearer {key}"}}
    async with MCPServerStreamableHttp(params=params) as server:
        model = Scripted()
        agent = Agent(name="matrix", model=model, mcp_servers=[server])
        await Runner.run(agent, "go", max_turns=20, run_config=RunConfig(tracing_disabled=True))
        print(json.dumps([[None, text(item["output"])] for item in model.heard]))


asyncio.run(main())
