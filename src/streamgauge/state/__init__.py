"""The state database: what people make, and what must outlive a restart; see `database`."""
