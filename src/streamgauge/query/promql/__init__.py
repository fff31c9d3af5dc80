"""PromQL: parsed by promql-parser, evaluated here on NumPy grids, each node once for all steps.

`engine.Engine` answers questions over any `series.Queryable`; the semantics are Prometheus 3's for float samples.
"""
