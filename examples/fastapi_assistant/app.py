"""A support assistant: FastAPI in front of an LLM provider. It trusts the provider to be there."""

import json
import os
from collections.abc import AsyncIterator

from fastapi import FastAPI, HTTPException
from fastapi.responses import JSONResponse, StreamingResponse
from openai import AsyncOpenAI, OpenAIError
from openai.types.chat import ChatCompletionChunk
from pydantic import BaseModel

SYSTEM = "You answer questions of our customers, in two sentences, from what the documents say."
MODEL = os.environ.get("MODEL", "gpt-4o-mini")

app = FastAPI()
client = AsyncOpenAI()  # OPENAI_BASE_URL and OPENAI_API_KEY say where and as whom


class Message(BaseModel):
    role: str
    content: str


class Ask(BaseModel):
    messages: list[Message]
    stream: bool = False


def prompt(ask: Ask) -> list[dict[str, str]]:
    return [{"role": "system", "content": SYSTEM}, *(message.model_dump() for message in ask.messages)]


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/v1/chat/completions", response_model=None)
async def chat(ask: Ask) -> JSONResponse | StreamingResponse:
    try:
        answer = await client.chat.completions.create(model=MODEL, messages=prompt(ask), stream=ask.stream)
    except OpenAIError as error:
        raise HTTPException(502, "the assistant is not available") from error
    if not ask.stream:
        return JSONResponse(answer.model_dump())
    return StreamingResponse(events(answer), media_type="text/event-stream")


async def events(chunks: AsyncIterator[ChatCompletionChunk]) -> AsyncIterator[str]:
    async for chunk in chunks:
        yield f"data: {json.dumps(chunk.model_dump())}\n\n"
    yield "data: [DONE]\n\n"
