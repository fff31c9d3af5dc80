"""Clients of the ingest API that come with the program: importers and demo traffic."""
