"""The process log: messages of the supervisor and its workers on stderr."""

from typing import Any, Final

LOGGING: Final[dict[str, Any]] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s [%(process)d] %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"level": "INFO", "handlers": ["stderr"]},
    # its warnings are about malformed HTTP, so any client could fill the disk with them
    "loggers": {"uvicorn.error": {"level": "ERROR"}},
}
