"""Events of the admin address and of its console: who came in, who was kept out, and what was done."""

import logging

from collector.process_log.event import ProcessLogEvent
from collector.process_log.of_requests import Repeated


class LoggedIn(ProcessLogEvent, frozen=True):
    """Somebody logged in to the console. What they do there is logged with the session's id."""

    level = logging.INFO
    text = "log-in to the console from {address}: session {session}"
    address: str
    session: str


class ConsoleAction(ProcessLogEvent, frozen=True):
    """Somebody acted by the console, which `admin.allow_actions` allows."""

    level = logging.INFO
    text = "{action} by {who} from {address}: {subject}: {result}"
    action: str
    who: str
    address: str
    subject: str
    result: str


class LogInRefused(Repeated, frozen=True):
    """Log-ins to the console had a wrong token. After five a minute, the tokens of that address are refused unseen."""

    text = "log-ins to the console refused, wrong token, from"


class TokenRefused(Repeated, frozen=True):
    """Requests to the admin address had a wrong token in `authorization`, perhaps those of a scraper."""

    page = "TracklogScrapeFails"
    text = "requests to the admin address refused with 401, wrong token, from"


class HostRefused(Repeated, frozen=True):
    """Requests named a host that `admin.hosts` lacks: of a scraper, or of a page that tries DNS rebinding."""

    page = "TracklogScrapeFails"
    text = "requests to the admin address refused with 421, admin.hosts lacks the host"


class HistoryInMemory(ProcessLogEvent, frozen=True):
    """The console can't keep its history in `admin.dir`: charts and accounts end with the admin process."""

    page = "TracklogHistoryInMemory"
    text = "the console keeps history in memory only, until the admin process ends: {path}: {cause}; {advice}"
    path: str
    cause: str
    advice: str
