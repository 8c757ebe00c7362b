"""What becomes of an exception that nobody foresaw: the client is told, the log tells where."""

from __future__ import annotations

import logging
import traceback

from streaming.server.limits import Refused

_log = logging.getLogger("rill.server")


def internal(error: Exception) -> Refused:
    """The refusal to tell its client. The log gets the place without the exception's own message,
    which may hold what the client sent."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    _log.error("a fault of Rill ended one stream: %s\n%s", type(error).__name__, frames.rstrip())
    return Refused(
        "internal",
        "recognition failed, which is a fault of the server; its log tells where. Begin anew",
        1011,
        500,
    )


def log_no_faults_of_clients() -> None:
    """Leaves out of the log what libraries write about bad messages: their clients are told."""
    logging.getLogger("uvicorn.error").addFilter(_NoBadText())
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)


class _NoBadText(logging.Filter):
    """uvicorn logs a traceback of a text that is no UTF-8, which is closed with 1007."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to log it."""
        return not record.getMessage().startswith("Invalid UTF-8 sequence")
