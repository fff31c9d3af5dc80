"""Sends events to Streamgauge: `Client` from any program, `AsyncClient` from asyncio."""

from streamgauge_sdk.aio import AsyncClient
from streamgauge_sdk.client import Client
from streamgauge_sdk.options import Options
from streamgauge_sdk.tally import Problem, Stats

__all__ = ["AsyncClient", "Client", "Options", "Problem", "Stats"]
__version__ = "0.1.0"
