"""Whom alerts are told to: routing, grouping and muting (pure), an outbox in the state database, receivers.

evaluation ──▶ dispatcher: route ─ group ─ inhibit, silence ─ say again? ──▶ outbox ──▶ a worker each receiver
"""
