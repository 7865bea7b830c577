"""What clients repeat is told in few lines, with counts, whatever they send."""

from collector.ops.notices import FORBIDDEN, TOO_FAST, UNKNOWN_PROPERTY, Notices


def _minutes(notices: Notices, first: int, minutes: int, *, of: list[tuple[str, str]]) -> list[str]:
    """What is told while each second of these minutes counts these facts once."""
    lines = []
    for second in range(first * 60, (first + minutes) * 60):
        for fact, key in of:
            notices.count(fact, key)
        lines += notices.due(float(second))
    return lines


def test_the_first_of_a_fact_is_told_at_once_and_then_its_count_once_a_minute() -> None:
    lines = _minutes(Notices(), 0, 3, of=[(UNKNOWN_PROPERTY, "1/2")])
    assert lines == [
        f"{UNKNOWN_PROPERTY} 1/2: 1",
        f"{UNKNOWN_PROPERTY} 1/2: 60 more in 60 s",
        f"{UNKNOWN_PROPERTY} 1/2: 60 more in 60 s",
    ]


def test_each_fact_and_each_property_is_told_for_itself() -> None:
    notices = Notices()
    for fact, key in ((TOO_FAST, "1/2"), (FORBIDDEN, "1/2"), (TOO_FAST, "1/3"), (TOO_FAST, "1/2")):
        notices.count(fact, key)
    assert notices.due(0) == [f"{TOO_FAST} 1/2: 2", f"{FORBIDDEN} 1/2: 1", f"{TOO_FAST} 1/3: 1"]


def test_a_fact_that_was_quiet_for_a_minute_is_a_first_one_again() -> None:
    notices = Notices()
    notices.count(TOO_FAST, "1/2")
    assert len(notices.due(0)) == 1
    assert notices.due(60) == []
    notices.count(TOO_FAST, "1/2")
    assert notices.due(61) == [f"{TOO_FAST} 1/2: 1"]


def test_a_client_that_names_ever_new_properties_gets_twenty_lines_a_minute_and_one_that_sums_up() -> None:
    notices, lines, sent = Notices(), [], 0
    for second in range(120):
        for _ in range(50):
            sent += 1
            notices.count(UNKNOWN_PROPERTY, f"1/{sent}")
        lines.append(notices.due(float(second)))
    minutes = [[line for each in lines[first : first + 60] for line in each] for first in (0, 60)]
    assert [len(each) for each in minutes] == [20, 21]
    assert minutes[1][0].startswith(f"{UNKNOWN_PROPERTY} (any): ")
    assert minutes[1][0].endswith(", left out in the last 60 s after 20 lines")


def test_every_occurrence_is_in_one_line_or_another() -> None:
    notices, lines = Notices(), []
    for number in range(5_000):
        notices.count(UNKNOWN_PROPERTY, f"1/{number}")
        if number % 100 == 0:
            lines += notices.due(number / 100)
    lines += notices.due(50, is_last=True) + notices.due(51, is_last=True)
    told = [int(line.split(": ")[-1].split(",")[0].split()[0]) for line in lines]
    assert sum(told) == 5_000


def test_no_more_than_a_thousand_properties_are_held_and_all_others_count_as_one() -> None:
    notices = Notices()
    for number in range(10_000):
        notices.count(UNKNOWN_PROPERTY, f"1/{number}")
    lines = notices.due(0)
    assert len(lines) == 20
    assert notices.due(60)[0] == f"{UNKNOWN_PROPERTY} (any): {10_000 - 20}, left out in the last 60 s after 20 lines"
    notices.count(UNKNOWN_PROPERTY, "after all were forgotten")
    assert notices.due(121) == [f"{UNKNOWN_PROPERTY} after all were forgotten: 1"]


def test_a_key_is_cut_and_can_neither_break_a_line_nor_color_a_terminal() -> None:
    notices = Notices()
    notices.count(UNKNOWN_PROPERTY, "1/\n\x1b[31m\u202e" + "9" * 10_000)
    (line,) = notices.due(0)
    assert line.isprintable()
    assert len(line) < 200


def test_shedding_is_told_when_it_begins_each_minute_and_when_it_has_ended_with_the_count() -> None:
    notices, lines = Notices(), []
    for second in range(100):
        if second < 80:
            notices.shed("the log is close to its limits")
        lines += [f"{second}: {line}" for line in notices.due(float(second))]
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
        lines += notices.due(float(second))
    assert len(lines) == 1
    (end,) = notices.due(65)
    assert end == "shedding has ended after 55 s: 12 (the log is full), 6 (too many connections)"


def test_at_a_stop_all_that_is_counted_is_told() -> None:
    notices = Notices()
    notices.count(TOO_FAST, "1/2")
    notices.due(0)
    notices.count(TOO_FAST, "1/2", 7)
    notices.shed("the log is full")
    assert notices.due(1, is_last=True) == [
        "requests are shed with 503: 1 (the log is full)",
        "shedding has ended after 0 s: 1 (the log is full)",
        f"{TOO_FAST} 1/2: 7 more in 1 s",
    ]


def test_junk_of_clients_never_hides_that_requests_are_shed() -> None:
    notices = Notices()
    for number in range(100):
        notices.count(UNKNOWN_PROPERTY, f"1/{number}")
    notices.due(0)
    notices.shed("the log is full")
    assert notices.due(1) == ["requests are shed with 503: 1 (the log is full)"]
