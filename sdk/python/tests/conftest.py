"""A running Streamgauge for tests that neither stop it nor need it empty."""

from running import running_system

__all__ = ["running_system"]
