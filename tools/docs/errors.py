"""The codes that clients get, and the exit codes: the statuses are those of the code, the explanations are here."""

import signal
from typing import Final, NamedTuple

from collector.errors import FieldCode
from collector.http.status import STATUS
from collector.server.exit_codes import PASSING_FAILURE, STARTUP_FAILURE, of_signal
from tools.docs.examples import example
from tools.docs.markdown import heading, table

_RESEND: Final = "safe: nothing was stored"
_NEVER: Final = "no: the same request fails again"
_AFTER: Final = "after `retry-after` seconds; nothing was stored"
_LETTER: Final = "a dead letter"
_NOTHING: Final = "nothing"


class Explained(NamedTuple):
    """What a code means, who is at fault, whether a retry helps, what was stored, and what to do."""

    cause: str
    fault: str
    retry: str
    stored: str
    advice: str


EXPLAINED: Final = {
    "malformed_request": Explained(
        "The bytes are not an HTTP request.", "client or proxy", _NEVER, _NOTHING, "Correct the client or the proxy."
    ),
    "invalid_query": Explained(
        "A query parameter is missing or wrong, or the query has more than 1,000 parameters.",
        "client",
        _NEVER,
        "a dead letter if the property is known, otherwise nothing",
        "Correct the parameters that `errors` names.",
    ),
    "invalid_event": Explained(
        "The body is not JSON, or a field of the event is missing or wrong.",
        "client",
        _NEVER,
        _LETTER,
        "Correct the fields that `errors` names, or change the property's `required`, then "
        "[redrive](../guides/redrive.md) the dead letters.",
    ),
    "invalid_redirect": Explained(
        "`redirect_url` is not a URL, leads to a host that the property does not list, or its signature has expired.",
        "client, or the settings",
        _NEVER,
        _LETTER,
        "List the host in [`property.redirect_hosts`](settings.md#property.redirect_hosts), or sign the URL again with "
        "`collector sign-url`.",
    ),
    "not_a_click": Explained(
        "A redirect needs one event whose `ea` or `ec` is `click`.",
        "client",
        _NEVER,
        _LETTER,
        "Send a click, or ask for another `resp_type`.",
    ),
    "forbidden": Explained(
        "The property does not list the origin of the page, or the request presents none of the property's write keys.",
        "client, or the settings",
        _NEVER,
        _NOTHING,
        "List the origin in [`property.origins`](settings.md#property.origins), or send a key: see "
        "[Properties and keys](../guides/properties-and-keys.md).",
    ),
    "not_found": Explained(
        "There is no such path, or no property with this `portal_id` and `prop_id` or `id`. The body is "
        '`{"message":"404 not found"}`, without a `code`. On the paths of [dialects](dialects.md) it has '
        "one, and is also the answer where the property does not take the dialect.",
        "client, or the settings",
        _NEVER,
        _NOTHING,
        "Correct the path, `portal_id` and `prop_id`, or the key of the SDK, or add the property to the settings.",
    ),
    "method_not_allowed": Explained(
        "The path does not serve this method.",
        "client",
        _NEVER,
        _NOTHING,
        "Use a method that the header `allow` names.",
    ),
    "headers_timeout": Explained(
        "The headers did not arrive within `limits.header_seconds`.",
        "client or network",
        _RESEND,
        _NOTHING,
        "Send the request again.",
    ),
    "body_timeout": Explained(
        "The body did not arrive within `limits.body_seconds`.",
        "client or network",
        _RESEND,
        _NOTHING,
        "Send the request again, in smaller parts.",
    ),
    "other_log": Explained(
        "On `/relay` alone: the log of the node is not the log that was relayed before under its id, because it was "
        "restored or copied.",
        "operator of the sending node",
        _NEVER,
        _NOTHING,
        "See [Back up and restore](../guides/back-up-and-restore.md).",
    ),
    "too_large": Explained(
        "The body, an event or the number of events is over its limit.",
        "client",
        _NEVER,
        _NOTHING,
        "Send less at a time; the limits are in [Settings](settings.md#limits).",
    ),
    "url_too_long": Explained(
        "The URL is over `limits.url_bytes`.", "client", _NEVER, _NOTHING, "Send the event in a body."
    ),
    "unsupported_media": Explained(
        "The collector does not read this content type or content encoding.",
        "client",
        _NEVER,
        _NOTHING,
        "Use one of the [forms of a body](http-api.md#bodies).",
    ),
    "rate_limited": Explained(
        "The property is over its rate, or too many of its events are refused.",
        "client, or the settings",
        _AFTER,
        _NOTHING,
        "Wait, then send again; see [Rate limits and shedding](../guides/rate-limits-and-shedding.md).",
    ),
    "headers_too_large": Explained(
        "The headers are over their limit.", "client", _NEVER, _NOTHING, "Send fewer headers, such as cookies."
    ),
    "unconfirmed": Explained(
        "The event is in the log, and the sink that the property waits for has not confirmed it in time "
        '(`ack = "shipped"`).',
        "the sink",
        "only if the event may count twice",
        "the event; `x-event-id` is its id",
        "Nothing: the event is fsynced and goes on to every sink.",
    ),
    "unavailable": Explained(
        "The log can't take the event now: the disk is full or slow, the node is stopping, or its limits are reached.",
        "the node",
        "after `retry-after` seconds",
        "nothing; of a batch maybe events with an id, which are then duplicates",
        "Send again; the process log and [What happens when](../understand/what-happens-when.md) tell why.",
    ),
}
"""By code. A test compares the keys with those of `http/status.py`."""
FIELD_CODES: Final = {
    FieldCode.MISSING: "The field is required and was not sent.",
    FieldCode.WRONG_TYPE: "Its JSON is of another type, for example a number instead of a string.",
    FieldCode.MALFORMED: "Its text can't be read: an id that is not digits, a URL that is not one.",
    FieldCode.TOO_SHORT: "The text has too few characters.",
    FieldCode.TOO_LONG: "The text has too many characters, or the number too many digits.",
    FieldCode.OUT_OF_RANGE: "The number is too small or too large.",
    FieldCode.NOT_ALLOWED: "The value is none of the choices, or the property does not list it.",
    FieldCode.EXPIRED: "The signature was valid once.",
}
EXIT_CODES: Final = {
    0: "The command is done; of `collector serve`, a clean stop.",
    1: "An error that the message names: a wrong setting, damage that damage.ndjson lacks, a refused event.",
    2: "A wrong call: an unknown command or argument, or a log that does not exist.",
    STARTUP_FAILURE: "A shard or a disk needs a person before `collector serve` can run; the last line says which.",
    PASSING_FAILURE: "`collector serve` lacks its address, descriptors or memory, or has a bug; a restart may help.",
    of_signal(signal.SIGINT): "Ctrl-C; of `collector serve`, the second one, which ends at once.",
    of_signal(signal.SIGTERM): "A second SIGTERM ended `collector serve` at once.",
}


def parts() -> dict[str, str]:
    """Entries for all codes, and tables of the codes of fields and of the exit codes."""
    return {
        "errors.refusals": "\n\n".join(_entry(code, each) for code, each in EXPLAINED.items()),
        "errors.fields": table(
            ("code of a field", "when"), [_row(f"field.{code}", code, text) for code, text in FIELD_CODES.items()]
        ),
        "errors.exit-codes": table(
            ("exit code", "meaning"), [_row(f"exit-code-{code}", str(code), text) for code, text in EXIT_CODES.items()]
        ),
    }


def _row(anchor: str, name: str, text: str) -> tuple[str, str]:
    return f'<span id="{anchor}">`{name}`</span>', text


def _entry(code: str, each: Explained) -> str:
    facts = table(
        ("status", "at fault", "send again?", "stored"), [(str(STATUS[code]), each.fault, each.retry, each.stored)]
    )
    return "\n\n".join(filter(None, [heading(3, code), each.cause, facts, each.advice, example(code)]))
