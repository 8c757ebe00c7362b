"""Unexpected exceptions: the client gets an error message, the log gets the traceback."""

from __future__ import annotations

import logging
import traceback

from streaming.server.limits import Refused

_log = logging.getLogger("rill.server")


def internal(error: Exception) -> Refused:
    """The refusal to send to the client. The log gets the traceback without the exception's
    message, which may contain data of the client."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    _log.error(
        "an unexpected error ended one stream: %s\n%s", type(error).__name__, frames.rstrip()
    )
    return Refused(
        "internal",
        "recognition failed with an error of the server; its log has the details. Start again",
        1011,
        500,
    )


def suppress_client_error_logs() -> None:
    """Drop what libraries log about invalid messages; the clients get an error message."""
    logging.getLogger("uvicorn.error").addFilter(_NotInvalidText())
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)


class _NotInvalidText(logging.Filter):
    """uvicorn logs a traceback for text that is not UTF-8, and closes with 1007."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to log the record."""
        return not record.getMessage().startswith("Invalid UTF-8 sequence")
