"""The process log: what the supervisor and its workers write to stderr."""

from typing import Any, Final

LOGGING: Final[dict[str, Any]] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s [%(process)d] %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"level": "INFO", "handlers": ["stderr"]},
    # its warnings are about malformed HTTP: any client could fill a disk with them
    "loggers": {"uvicorn.error": {"level": "ERROR"}},
}
