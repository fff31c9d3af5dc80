"""A FastAPI application that sends an event for each request, and one for each order.

pip install streamgauge-sdk fastapi uvicorn
uvicorn fastapi_app:app
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request

from streamgauge_sdk import AsyncClient
from streamgauge_sdk.requests import AsgiRequests

client = AsyncClient(
    os.environ.get("STREAMGAUGE_URL", "http://localhost:8080"), os.environ.get("STREAMGAUGE_WRITE_KEY")
)


@asynccontextmanager
async def _lifespan(_: FastAPI) -> AsyncIterator[None]:
    yield
    await client.close()


app = FastAPI(lifespan=_lifespan)
app.add_middleware(AsgiRequests, client=client)


@app.get("/orders/{number}")
async def get_order(number: int, request: Request) -> dict[str, Any]:
    request.state.user_id = request.headers.get("x-user")
    return {"number": number}


@app.post("/orders")
async def post_order(request: Request) -> dict[str, Any]:
    client.track("purchase", {"price": 9.5, "currency": "EUR"}, user_id=request.headers.get("x-user"))
    return {"number": 1}
