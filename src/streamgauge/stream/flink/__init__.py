"""The pipeline compiled to Flink SQL, and the client of the Flink cluster that runs it.

`dialect` writes what stands in statements, `tables` the sources and sinks, `views` what happens between them, `job`
puts them together; `cluster` speaks to Flink's REST API.
"""
