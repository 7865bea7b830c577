"""The property of each line of a log, whatever a line holds."""

from collector.ops.event_property import UNKNOWN, EventProperty, properties_of, property_of

ODD = (b"", b"{}", b"no JSON", b'{"portal_id":"1","prop_id":2}', b"\xff", b"[" * 4000)


def test_lines_that_name_no_property_keep_their_place_among_the_others() -> None:
    lines = [b'{"portal_id":%d,"prop_id":2,"event":{}}' % number for number in range(3)]
    known = [EventProperty(number, 2) for number in range(3)]
    assert properties_of(b"\n".join(lines) + b"\n", 3) == properties_of(b"\n".join(lines), 3) == known
    for odd in ODD:
        assert properties_of(b"\n".join([lines[0], odd, *lines[1:]]) + b"\n", 4) == [known[0], UNKNOWN, *known[1:]]
    assert properties_of(b"", 0) == []


def test_half_a_property_is_none() -> None:
    assert property_of(b'{"portal_id":1,"prop_id":2}').is_known
    assert not property_of(b'{"portal_id":1}').is_known
