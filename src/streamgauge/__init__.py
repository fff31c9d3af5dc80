"""Streamgauge: real-time event analytics that one person can run with one command."""

__version__ = "0.1.0"
