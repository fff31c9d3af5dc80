"""Prometheus' HTTP API under `/api/v1/`: for Grafana, promtool, and whatever else speaks it."""

from streamgauge.api.prometheus.routes import prometheus_routes
from streamgauge.api.prometheus.rules import prometheus_rule_routes

__all__ = ["prometheus_routes", "prometheus_rule_routes"]
