"""A command that failed, with the error object that the API gave."""

from __future__ import annotations

from typing import Any


class Failed(Exception):
    """The API refused; ``error`` is its error object."""

    def __init__(self, error: dict[str, Any]) -> None:
        """Keep the object."""
        super().__init__(error.get("message"))
        self.error = error
