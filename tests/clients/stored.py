"""Compares what a collector stored with the calls that were made."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.request import urlopen

from tests.clients.calls import Call
from tests.clients.sdks import Sdk, prop_id
from tests.running import Collector


def of_sdk(records: list[dict[str, Any]], sdk: Sdk) -> list[dict[str, Any]]:
    """The records of the property of an SDK."""
    return [each for each in records if each.get("prop_id") == prop_id(sdk)]


def repeats(collector: Collector, sdk: Sdk) -> int:
    """How many events of an SDK came again and were not stored again, as the collector counts them."""
    with urlopen(f"http://127.0.0.1:{collector.admin_port}/metrics") as response:
        text = response.read().decode()
    line = rf'^tracklog_events_duplicate_total{{portal="33167",prop="{prop_id(sdk)}"}} (\d+)'
    return sum(int(float(count)) for count in re.findall(line, text, re.MULTILINE))


def differences(records: list[dict[str, Any]], sdk: Sdk) -> list[str]:
    """Every call without its event, every event without a call, and each event that lacks an id or a mark."""
    left = list(records)
    found: list[str] = []
    # those that ask for most first, since SDKs send beside each other: a short call is like the event of a longer one
    for call in sorted(sdk.calls, key=lambda each: len(str(each.fields)), reverse=True):
        matching = [each for each in left if _is_like(each["event"], call)]
        if len(matching) < call.least:
            found.append(f"no event for {call}")
        for each in matching[: call.most]:
            left.remove(each)
    found += [f"no call for {each['event']}" for each in left]
    return found + [fault for each in records for fault in _faults(each, sdk)] + _repeated_ids(records, sdk)


def _is_like(event: dict[str, Any], call: Call) -> bool:
    return (event["ea"], event["ec"]) == (call.ea, call.ec) and _contains(event, call.fields)


def _contains(whole: Any, part: Any) -> bool:
    """Whether every member of `part` is in `whole`; lists have the same length."""
    if isinstance(part, Mapping):
        return isinstance(whole, dict) and all(name in whole and _contains(whole[name], part[name]) for name in part)
    if isinstance(part, list):
        return isinstance(whole, list) and len(whole) >= len(part) and all(map(_contains, whole, part))
    return bool(whole == part)


def _faults(record: dict[str, Any], sdk: Sdk) -> list[str]:
    found = []
    if record.get("dialect") != sdk.dialect:
        found.append(f"dialect {record.get('dialect')}")
    if record["s2s"] != sdk.s2s:
        found.append(f"s2s {record['s2s']}")
    if ("event_id" in record) != sdk.has_ids:
        found.append(f"event_id {record.get('event_id')}")
    if not isinstance(record.get("occurred_at"), int):
        found.append(f"occurred_at {record.get('occurred_at')}")
    return found


def _repeated_ids(records: list[dict[str, Any]], sdk: Sdk) -> list[str]:
    ids = [each.get("event_id") for each in records]
    return [f"twice {each}" for each in set(ids) if sdk.has_ids and ids.count(each) > 1]
