"""What a running collector counts is what its clients count, with several workers, and across kill -9 of one."""

import asyncio
import os
from collections import Counter
from pathlib import Path

from collector.ingest.accounts.settling import unsettled_events
from collector.ops.counters import CounterBlock, Key, summed
from tests.running import WRITE_KEYS, Collector, eventually, running

_MEMFD = "/memfd:tracklog-counters"
_GOOD = b'{"ea":"view","ec":"product","sid":1,"aid":"a","uid":"u"}'
_BAD = b'{"ea":1}'
_WEB = "/event?portal_id=33167&prop_id=564990801&resp_type=json"
_KEYED = "/event?portal_id=33167&prop_id=3&resp_type=json"
_PROPERTY = ("33167", "564990801")


def _blocks(collector: Collector) -> list[CounterBlock]:
    """The blocks of a running collector, through the descriptors of its supervisor."""
    folder = f"/proc/{collector.process.pid}/fd"
    paths = [f"{folder}/{name}" for name in os.listdir(folder)]
    by_file = {os.stat(path).st_ino: path for path in paths if os.readlink(path).startswith(_MEMFD)}
    return [CounterBlock(os.open(path, os.O_RDWR)) for path in by_file.values()]


def _total(blocks: list[CounterBlock]) -> dict[Key, int]:
    return summed(map(CounterBlock.read, blocks))


def _counted(blocks: list[CounterBlock], name: str) -> dict[Key, int]:
    """The values of one counter by label values."""
    return {key[1:]: value for key, value in _total(blocks).items() if key[0] == name and value}


def _events(blocks: list[CounterBlock], fate: str) -> dict[Key, int]:
    return _counted(blocks, f"tracklog_events_{fate}_total")


def _is_settled(blocks: list[CounterBlock]) -> bool:
    return set(unsettled_events(_total(blocks)).values()) <= {0}


def test_every_counter_is_what_the_clients_counted(tmp_path: Path) -> None:
    mixture = [
        ("POST", _WEB, _GOOD, {}),
        ("POST", _WEB, b"[%b,%b,%b]" % (_GOOD, _BAD, _GOOD), {}),
        ("POST", _WEB, b"[%b,%b]" % (_BAD, _BAD), {}),
        ("POST", _WEB, b'{"ea":', {}),
        ("POST", _WEB, b"x" * (6 << 20), {}),
        ("POST", _WEB.replace("564990801", "77"), _GOOD, {}),
        ("POST", _KEYED, _GOOD, {"x_write_key": "wrong"}),
        ("POST", _KEYED, _GOOD, {"x_write_key": WRITE_KEYS["TRACKLOG_TEST_KEY_A"]}),
        ("GET", _WEB.replace("json", "pixel") + "&ea=view&ec=product&sid=1&aid=a&uid=u", b"", {}),
        ("HEAD", _WEB + "&ea=view&ec=product&sid=1&aid=a&uid=u", b"", {}),
        ("OPTIONS", _WEB, b"", {"origin": "https://shop.example.com"}),
        ("GET", "/%65vent?portal_id=1", b"", {}),
        ("GET", "/nothing/here", b"", {}),
        ("GET", "/c/hello?portal_id=33167&prop_id=2", b"", {}),
    ]
    rounds = 6
    with running(tmp_path, workers=2) as collector:
        blocks = _blocks(collector)
        responses: Counter[tuple[str, str]] = Counter()
        for _ in range(rounds):
            for method, target, body, headers in mixture:
                status = collector.send(method, target, body, **headers).status
                path = target.partition("?")[0].replace("%65", "e")
                responses[path if path in ("/event", "/c/hello") else "other", str(status)] += 1
        assert _counted(blocks, "tracklog_requests_total") == responses
        assert _counted(blocks, "tracklog_request_seconds_sum")
        timed = sum(_counted(blocks, "tracklog_request_seconds").values())
        assert timed == responses.total()
        assert _events(blocks, "stored") == {_PROPERTY: 4 * rounds, ("33167", "3"): rounds}
        assert _events(blocks, "rejected") == {
            (*_PROPERTY, "invalid_event"): 4 * rounds,
            (*_PROPERTY, "too_large"): rounds,
            ("33167", "3", "forbidden"): rounds,
            ("33167", "2", "invalid_event"): rounds,
            ("", "", "invalid_query"): rounds,
        }
        assert _events(blocks, "shed") == {}
        assert _events(blocks, "received") == {
            _PROPERTY: 9 * rounds,
            ("33167", "3"): 2 * rounds,
            ("33167", "2"): rounds,
            ("", ""): rounds,
        }
        assert _total(blocks)["tracklog_unknown_property_total",] == rounds
        assert _total(blocks)["tracklog_commit_events_sum",] == len(collector.stored()) == 5 * rounds
        assert sum(_counted(blocks, "tracklog_dead_letters_total").values()) == len(collector.dead())
        assert {block.pid for block in blocks} - {0} == {worker.pid for worker in collector.workers()}


async def _post_until_closed(port: int, responses: Counter[int]) -> None:
    """Post on one connection as fast as responses come, until the collector closes it."""
    request = b"POST %b HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (_WEB.encode(), len(_GOOD), _GOOD)
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return
    try:
        while True:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            responses[int(head[9:12])] += 1
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


def test_across_a_kill_every_response_was_counted_and_the_accounts_balance(tmp_path: Path) -> None:
    with running(tmp_path, workers=2) as collector:
        blocks, responses = _blocks(collector), Counter[int]()
        pids = {worker.pid for worker in collector.workers()}

        async def load() -> None:
            clients = [asyncio.create_task(_post_until_closed(collector.port, responses)) for _ in range(40)]
            await asyncio.to_thread(eventually, lambda: responses[200] > 2000, "responses have come")
            for worker in collector.workers():  # one after the other, under load
                before = responses[200]
                worker.kill()
                await asyncio.to_thread(eventually, lambda: _has_new_worker(blocks, pids), "it is back")
                pids.update(worker.pid for worker in collector.workers())
                assert responses[200] >= before
            await asyncio.wait(clients)

        asyncio.run(load())
        eventually(lambda: _is_settled(blocks), "the successors have settled the accounts")
        stored = _events(blocks, "stored")[_PROPERTY]
        died = _events(blocks, "shed").get((*_PROPERTY, "worker_died"), 0)
        assert responses.keys() == {200}
        assert responses[200] <= stored <= len(collector.stored()) <= stored + died
        assert _counted(blocks, "tracklog_requests_total")["/event", "200"] >= responses[200]
        assert _counted(blocks, "tracklog_worker_restarts_total") == {("SIGKILL",): 2}


def _has_new_worker(blocks: list[CounterBlock], pids: set[int]) -> bool:
    """Whether a worker that is not among `pids` counts, beside another one."""
    counting = {block.pid for block in blocks} - {0}
    return len(counting) == 2 and bool(counting - pids)
