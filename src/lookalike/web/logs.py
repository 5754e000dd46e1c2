"""Logs that a program can read: one JSON object per line, whatever names a file has."""

import json
import logging
from datetime import UTC, datetime
from typing import Any, Final

EXTRA: Final = ("request_id", "method", "path", "status", "ms", "user", "job")


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON; line breaks in it are escaped by JSON itself."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        content: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        content.update({name: getattr(record, name) for name in EXTRA if hasattr(record, name)})
        if record.exc_info:
            content["exception"] = self.formatException(record.exc_info)
        return json.dumps(content, ensure_ascii=True)
