"""What profile databases call what every profile has."""

from __future__ import annotations

from typing import Final

USER_ID: Final = "user_id"
UPDATED_AT: Final = "updated_at"
