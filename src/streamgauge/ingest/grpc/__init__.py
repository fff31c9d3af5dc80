"""The gRPC transport of ingest: `proto/ingest.proto`. It only translates: what an event is, is decided beyond."""
