"""Stage 1, in: decode, validate, bound, key, append."""
