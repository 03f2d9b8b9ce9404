"""What an error that a model or a picture raised means for its row."""

import logging
from typing import Literal

from core.errors import AppError, OutOfMemoryError, UnavailableError

log = logging.getLogger(__name__)

ErrorKind = Literal["failed", "oom", "unavailable"]


def failure_of(error: Exception, upscaler: str) -> tuple[ErrorKind, str]:
    """Status and one-line reason of a row. Whatever a model raises is a row with a reason, and its traceback goes to the log."""
    if isinstance(error, OutOfMemoryError | MemoryError):
        return "oom", str(error) or "Out of memory: choose smaller tiles, a smaller picture or a region."
    if isinstance(error, UnavailableError):
        return "unavailable", str(error)
    if isinstance(error, AppError):
        return "failed", str(error)
    log.error("%s failed", upscaler, exc_info=error)
    return "failed", f"Internal error ({type(error).__name__}); the log has the details."
