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


class QuietAboutClients(logging.Filter):
    """Leaves out what uvicorn logs with a traceback of a message that is no UTF-8: it is the
    client's fault, and the client was told with close code 1007."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to log it."""
        return not record.getMessage().startswith("Invalid UTF-8 sequence")
