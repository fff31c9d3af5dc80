"""Prometheus' HTTP API under `/api/v1/`: for Grafana, promtool, and whatever else speaks it."""

from streamgauge.api.prometheus.routes import prometheus_routes

__all__ = ["prometheus_routes"]
