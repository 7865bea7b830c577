"""A single JSON POST, beyond the requests of the file: every response type, member and refusal of the contract."""

import socket
from typing import Any

import pytest

from tests.running import PATIENCE_SECONDS, Collector, read_response

EVENT: dict[str, Any] = {"ea": "view", "ec": "product", "sid": 6320, "aid": "a-1", "uid": "u-1"}
CLICK = {**EVENT, "ea": "click"}
REDIRECT = "resp_type=redirect&redirect_url="
ALLOWED = REDIRECT + "https%3A%2F%2Fshop.example.com%2Fp%2F1%3Fa%3Db"


def _last(collector: Collector, uid: str) -> dict[str, Any]:
    return next(record for record in collector.stored() if record["event"].get("uid") == uid)


def test_the_response_has_every_member_in_the_order_of_the_contract(collector: Collector) -> None:
    answer = collector.post(EVENT).json()
    assert list(answer) == [
        *("dgs", "au_gt", "pv_id", "n_client_id", "session_id", "n_user"),
        *("au_id", "type", "aid", "client_id", "an_session"),
    ]
    start = answer["au_gt"]
    assert answer["dgs"] == f"{start}%3A1%3A1"
    assert answer["client_id"] == f"{answer['au_id']}.{start}"
    assert answer["pv_id"].endswith(f"-{answer['au_id']}")
    assert 0 < int(answer["au_id"]) < 2**53


def test_every_response_forbids_caching_and_sniffing(collector: Collector) -> None:
    for response in (collector.post(EVENT), collector.post(b"{"), collector.send("GET", "/nope")):
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-content-type-options"] == "nosniff"


def test_a_200_has_the_id_of_the_event_and_its_acknowledgement(collector: Collector) -> None:
    response = collector.post({**EVENT, "uid": "named"})
    assert response.headers["x-event-ack"] == "fsync"
    assert response.headers["x-event-id"] == _last(collector, "named")["id"]


def test_a_refusal_claims_no_acknowledgement(collector: Collector) -> None:
    assert not {"x-event-ack", "x-event-id"} & set(collector.post(b"{").headers)


def test_the_token_carries_the_session_from_hit_to_hit(collector: Collector) -> None:
    token, answers = "", []
    for _ in range(3):
        answers.append(collector.post(EVENT, f"resp_type=json&an_session={token}").json())
        token = answers[-1]["an_session"]
    assert [answer["dgs"].split("%3A")[1:] for answer in answers] == [["1", "1"], ["2", "0"], ["3", "0"]]
    assert [answer["n_client_id"] for answer in answers] == [1, 0, 0]
    assert [answer["n_user"] for answer in answers] == [1, 0, 0]
    assert len({answer["client_id"] for answer in answers}) == 1


def test_another_user_on_the_same_device_keeps_the_client_id(collector: Collector) -> None:
    first = collector.post(EVENT).json()
    second = collector.post({**EVENT, "uid": "u-2"}, f"resp_type=json&an_session={first['an_session']}").json()
    assert second["client_id"] == first["client_id"]
    assert second["au_id"] != first["au_id"]
    assert (second["n_client_id"], second["n_user"]) == (0, 1)


def test_the_stored_record_has_the_members_of_the_collector(collector: Collector) -> None:
    event = {**EVENT, "uid": "knows", "et": "2020-06-25 22:58:01"}
    answer = collector.post(event, user_agent='Say "hi" é', referer="https://shop.example.com/").json()
    record = _last(collector, "knows")
    assert record.pop("received_at") == int(answer["pv_id"].partition("-")[0])
    assert record.pop("id").count("-") == 1
    assert record == {
        "portal_id": 33167,
        "prop_id": 564990801,
        "source": "web",
        "ip": "127.0.0.1",
        "user_agent": 'Say "hi" Ã©',
        "referer": "https://shop.example.com/",
        "s2s": False,
        "occurred_at": 1_593_125_881_000,
        "au_id": answer["au_id"],
        "client_id": answer["client_id"],
        "session": {"id": "6320", "start": int(answer["au_gt"]), "hits": 1, "new": True},
        "warnings": [],
        "event": event,
    }


def test_a_server_call_records_no_visitor_address_or_agent(collector: Collector) -> None:
    assert collector.post({**EVENT, "uid": "s2s"}, "is_s2s=true", user_agent="shop/1").status == 200
    record = _last(collector, "s2s")
    assert (record["ip"], record["user_agent"], record["s2s"]) == (None, None, True)


def test_a_property_can_require_fewer_fields(collector: Collector) -> None:
    response = collector.send(
        "POST",
        "/event?portal_id=33167&prop_id=2&resp_type=json",
        b'{"ea":"sale","ec":"till"}',
        content_type="application/json",
    )
    assert response.status == 200
    assert (response.json()["session_id"], response.json()["aid"]) == ("", "")


def test_a_pixel_is_a_gif_whatever_the_status(collector: Collector) -> None:
    for event, status in ((EVENT, 200), ({}, 400)):
        response = collector.post(event, "resp_type=pixel")
        assert (response.status, response.headers["content-type"]) == (status, "image/gif")
        assert (response.body[:6], len(response.body)) == (b"GIF89a", 43)


def test_no_field_breaks_out_of_the_script(collector: Collector) -> None:
    response = collector.post({**EVENT, "aid": "</script><b>&\u2028\u2029"}, "")
    assert response.body.isascii()
    assert not set(b"<>&") & set(response.body)


def test_an_allowed_click_is_redirected_and_stored(collector: Collector) -> None:
    response = collector.post({**CLICK, "uid": "clicked"}, ALLOWED)
    assert (response.status, response.headers["location"]) == (302, "https://shop.example.com/p/1?a=b")
    assert response.headers["x-event-id"] == _last(collector, "clicked")["id"]


@pytest.mark.parametrize("event", [b'{"ea":"click"}', b"{", b'{"ea":"click","ec":'])
def test_an_allowed_click_is_redirected_even_if_its_event_is_refused(collector: Collector, event: bytes) -> None:
    dead = len(collector.dead())
    response = collector.post(event, ALLOWED)
    assert (response.status, response.headers["location"]) == (302, "https://shop.example.com/p/1?a=b")
    assert "x-event-id" not in response.headers
    assert len(collector.dead()) == dead + 1


@pytest.mark.parametrize(
    "url", ["https%3A%2F%2Fevil.example.net", "https%3A%2F%2Fshop.example.com%40evil.example.net", ""]
)
def test_no_click_leads_to_an_unlisted_host(collector: Collector, url: str) -> None:
    response = collector.post(CLICK, REDIRECT + url)
    assert response.status == 400
    assert [error["field"] for error in response.json()["errors"]] == ["redirect_url"]


def test_a_redirect_for_an_event_that_is_not_a_click_is_refused(collector: Collector) -> None:
    assert collector.post(EVENT, ALLOWED).status == 400


def test_a_dead_letter_holds_the_raw_event_and_the_reason(collector: Collector) -> None:
    collector.post(b'{"ea":"for the dead"}')
    letter = next(letter for letter in collector.dead() if letter["raw"] == {"ea": "for the dead"})
    assert (letter["portal_id"], letter["prop_id"], letter["encoding"]) == (33167, 564990801, "json")
    assert [(error["field"], error["code"]) for error in letter["errors"]] == [
        (name, "missing") for name in ("ec", "sid", "aid", "uid")
    ]


def test_a_body_that_is_not_utf8_is_a_dead_letter_in_base64(collector: Collector) -> None:
    collector.post(b'{"ea":"\xff\xfe"}')
    assert any(letter["encoding"] == "base64" and letter["raw"] == "eyJlYSI6Iv/+In0=" for letter in collector.dead())


def test_a_listed_origin_is_served_and_another_is_refused(collector: Collector) -> None:
    assert collector.post(EVENT, origin="https://shop.example.com").status == 200
    stored = len(collector.stored())
    assert collector.post(EVENT, origin="https://shop.example.com.evil.net").status == 403
    assert len(collector.stored()) == stored


def test_an_unserved_method_gets_405_with_the_served_ones(collector: Collector) -> None:
    response = collector.send("DELETE", "/event?portal_id=33167&prop_id=564990801")
    assert (response.status, response.headers["allow"]) == (405, "GET, HEAD, OPTIONS, POST")


def test_an_event_and_a_body_over_their_limits_are_refused(collector: Collector) -> None:
    stored = len(collector.stored())
    assert collector.post({**EVENT, "extra": {"x": "y" * (65 << 10)}}).status == 413
    assert collector.exchange(_head(6 << 20)).status == 413
    assert len(collector.stored()) == stored


def test_a_url_over_its_limit_is_refused(collector: Collector) -> None:
    assert collector.post(EVENT, "x=" + "y" * (21 << 10)).status == 414


@pytest.mark.parametrize("headers", [{"content_type": "application/xml"}, {"content_encoding": "br"}])
def test_a_body_of_an_unsupported_media_type_is_refused(collector: Collector, headers: dict[str, str]) -> None:
    assert collector.post(EVENT, **headers).status == 415


def test_a_body_without_a_content_type_is_read_as_json(collector: Collector) -> None:
    assert collector.send("POST", "/?portal_id=33167&prop_id=564990801", b'{"ea":1}').status == 400
    assert collector.exchange(_head(len(_BODY)) + _BODY).status == 200


@pytest.mark.parametrize("sent", [b"", b'{"ea":'])
def test_a_body_that_does_not_arrive_gets_408(collector: Collector, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", collector.port), timeout=PATIENCE_SECONDS) as connection:
        connection.sendall(_head(100) + sent)
        with connection.makefile("rb") as stream:
            assert read_response(stream.readline, stream.read).status == 408


_BODY = b'{"ea":"a","ec":"c","sid":1,"aid":"x","uid":"u"}'


def _head(length: int) -> bytes:
    target = "/event?portal_id=33167&prop_id=564990801&resp_type=json"
    return f"POST {target} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n".encode()
