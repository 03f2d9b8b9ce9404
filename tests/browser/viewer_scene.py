"""What the harness app shows: the tests put it here over HTTP, the page reads it."""

from typing import Any

PICTURES: dict[str, bytes] = {}
"""PNG files by name."""
SCENE: dict[str, Any] = {}
"""Arguments of `ui.viewer.viewer`; `pictures` as plain dicts."""
ACTIONS: list[str] = []
"""Ids whose action button was pressed."""
