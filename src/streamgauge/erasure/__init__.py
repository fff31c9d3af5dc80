"""Erasing a person: out of the store and the profiles now, and out of whatever counts the log again later."""
