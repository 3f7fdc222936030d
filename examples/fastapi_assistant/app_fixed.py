"""The same assistant, which no longer trusts its provider: after two seconds it says what it can."""

import json
import os
from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.responses import JSONResponse, StreamingResponse
from openai import AsyncOpenAI, OpenAIError
from openai.types.chat import ChatCompletionChunk
from pydantic import BaseModel

SYSTEM = "You answer questions of our customers, in two sentences, from what the documents say."
MODEL = os.environ.get("MODEL", "gpt-4o-mini")
SORRY = "Our assistant is slow at the moment. Your question is answered at example.com/help, or by mail within an hour."

app = FastAPI()
client = AsyncOpenAI(timeout=2.0, max_retries=0)  # OPENAI_BASE_URL and OPENAI_API_KEY say where and as whom


class Message(BaseModel):
    role: str
    content: str


class Ask(BaseModel):
    messages: list[Message]
    stream: bool = False


def prompt(ask: Ask) -> list[dict[str, str]]:
    return [{"role": "system", "content": SYSTEM}, *(message.model_dump() for message in ask.messages)]


def fallback(part: str) -> dict[str, object]:
    answer = {"index": 0, part: {"role": "assistant", "content": SORRY}, "finish_reason": "stop"}
    return {"object": "chat.completion", "model": "fallback", "choices": [answer]}


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/v1/chat/completions", response_model=None)
async def chat(ask: Ask) -> JSONResponse | StreamingResponse:
    try:
        answer = await client.chat.completions.create(model=MODEL, messages=prompt(ask), stream=ask.stream)
    except OpenAIError:
        if ask.stream:
            return StreamingResponse(events(None), media_type="text/event-stream")
        return JSONResponse(fallback("message"))
    if not ask.stream:
        return JSONResponse(answer.model_dump())
    return StreamingResponse(events(answer), media_type="text/event-stream")


async def events(chunks: AsyncIterator[ChatCompletionChunk] | None) -> AsyncIterator[str]:
    if chunks is None:
        yield f"data: {json.dumps(fallback('delta'))}\n\n"
    else:
        async for chunk in chunks:
            yield f"data: {json.dumps(chunk.model_dump())}\n\n"
    yield "data: [DONE]\n\n"
