"""What clients repeat is told in few lines, with counts, whatever they send."""

from collector.ops.notices import Notices
from collector.process_log.event import ProcessLogEvent
from collector.process_log.of_requests import CountsLeftOut, RateExceeded, Repeated, SenderRefused, UnknownProperty


def _due(notices: Notices, now: float, *, is_last: bool = False) -> list[str]:
    return [str(event) for event in notices.due(now, is_last=is_last)]


def _minutes(notices: Notices, first: int, minutes: int, *, of: list[tuple[type[Repeated], str]]) -> list[str]:
    """What is told while each second of these minutes counts these facts once."""
    lines = []
    for second in range(first * 60, (first + minutes) * 60):
        for fact, key in of:
            notices.count(fact, key)
        lines += _due(notices, float(second))
    return lines


def test_the_first_of_a_fact_is_told_at_once_and_then_its_count_once_a_minute() -> None:
    lines = _minutes(Notices(), 0, 3, of=[(UnknownProperty, "1/2")])
    assert lines == [
        f"{UnknownProperty.text} 1/2: 1",
        f"{UnknownProperty.text} 1/2: 60 more in 60 s",
        f"{UnknownProperty.text} 1/2: 60 more in 60 s",
    ]


def test_each_fact_and_each_property_is_told_for_itself() -> None:
    notices = Notices()
    for fact, key in ((RateExceeded, "1/2"), (SenderRefused, "1/2"), (RateExceeded, "1/3"), (RateExceeded, "1/2")):
        notices.count(fact, key)
    assert _due(notices, 0) == [
        f"{RateExceeded.text} 1/2: 2",
        f"{SenderRefused.text} 1/2: 1",
        f"{RateExceeded.text} 1/3: 1",
    ]


def test_a_fact_that_was_quiet_for_a_minute_is_a_first_one_again() -> None:
    notices = Notices()
    notices.count(RateExceeded, "1/2")
    assert len(_due(notices, 0)) == 1
    assert _due(notices, 60) == []
    notices.count(RateExceeded, "1/2")
    assert _due(notices, 61) == [f"{RateExceeded.text} 1/2: 1"]


def test_a_client_that_names_ever_new_properties_gets_twenty_lines_a_minute_and_one_that_sums_up() -> None:
    notices, lines, sent = Notices(), [], 0
    for second in range(120):
        for _ in range(50):
            sent += 1
            notices.count(UnknownProperty, f"1/{sent}")
        lines.append(_due(notices, float(second)))
    minutes = [[line for each in lines[first : first + 60] for line in each] for first in (0, 60)]
    assert [len(each) for each in minutes] == [20, 21]
    assert minutes[1][0].startswith("left out in the last 60 s after 20 lines: ")
    assert minutes[1][0].endswith(" (unknown_property)")


def test_every_occurrence_is_in_one_line_or_another() -> None:
    notices, due = Notices(), list[ProcessLogEvent]()
    for number in range(5_000):
        notices.count(UnknownProperty, f"1/{number}")
        if number % 100 == 0:
            due += notices.due(number / 100)
    due += [*notices.due(50, is_last=True), *notices.due(51, is_last=True)]
    told = sum(event.count for event in due if isinstance(event, UnknownProperty))
    left_out = sum(sum(event.counts.values()) for event in due if isinstance(event, CountsLeftOut))
    assert told + left_out == 5_000


def test_no_more_than_a_thousand_properties_are_held_and_all_others_count_as_one() -> None:
    notices = Notices()
    for number in range(10_000):
        notices.count(UnknownProperty, f"1/{number}")
    lines = _due(notices, 0)
    assert len(lines) == 20
    assert _due(notices, 60)[0] == f"left out in the last 60 s after 20 lines: {10_000 - 20} (unknown_property)"
    notices.count(UnknownProperty, "after all were forgotten")
    assert _due(notices, 121) == [f"{UnknownProperty.text} after all were forgotten: 1"]


def test_a_key_is_cut_and_can_neither_break_a_line_nor_color_a_terminal() -> None:
    notices = Notices()
    notices.count(UnknownProperty, "1/\n\x1b[31m\u202e" + "9" * 10_000)
    (line,) = _due(notices, 0)
    assert line.isprintable()
    assert len(line) < 200


def test_shedding_is_told_when_it_begins_each_minute_and_when_it_has_ended_with_the_count() -> None:
    notices, lines = Notices(), []
    for second in range(100):
        if second < 80:
            notices.shed("the log is close to its limits")
        lines += [f"{second}: {line}" for line in _due(notices, float(second))]
    assert lines == [
        "0: requests are shed with 503: 1 (the log is close to its limits)",
        "60: requests have been shed with 503 for 60 s: 61 (the log is close to its limits)",
        "89: shedding has ended after 79 s: 80 (the log is close to its limits)",
    ]


def test_shedding_with_short_pauses_is_one_and_names_every_reason() -> None:
    notices, lines = Notices(), []
    for second in range(0, 60, 5):
        for _ in range(second % 2 + 1):
            notices.shed("the log is full" if second % 2 else "too many connections")
        lines += _due(notices, float(second))
    assert len(lines) == 1
    (end,) = _due(notices, 65)
    assert end == "shedding has ended after 55 s: 12 (the log is full), 6 (too many connections)"


def test_at_a_stop_all_that_is_counted_is_told() -> None:
    notices = Notices()
    notices.count(RateExceeded, "1/2")
    _due(notices, 0)
    notices.count(RateExceeded, "1/2", 7)
    notices.shed("the log is full")
    assert _due(notices, 1, is_last=True) == [
        "requests are shed with 503: 1 (the log is full)",
        "shedding has ended after 0 s: 1 (the log is full)",
        f"{RateExceeded.text} 1/2: 7 more in 1 s",
    ]


def test_junk_of_clients_never_hides_that_requests_are_shed() -> None:
    notices = Notices()
    for number in range(100):
        notices.count(UnknownProperty, f"1/{number}")
    _due(notices, 0)
    notices.shed("the log is full")
    assert _due(notices, 1) == ["requests are shed with 503: 1 (the log is full)"]
