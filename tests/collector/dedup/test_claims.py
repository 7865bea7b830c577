"""Claims: what is known within its window, what a failed append forgets, and what the bounds evict."""

from contextlib import suppress

import pytest

from collector.dedup.generations import read_meta, write_meta
from collector.dedup.index import DedupIndex
from collector.dedup.layout import Fate, Place, hash_of, key
from collector.dedup.store import IndexStore
from tests.collector.dedup.indexes import BOUNDS, HOUR, LOG, MAP_BYTES, NOW, OTHER, claim, knows, worker

_MAP_PAGES = MAP_BYTES // 4096


class AppendFailed(Exception):
    """An append raises."""


def _fail_append(index: DedupIndex, sequence: int, size: int) -> Place | None:
    """Claim a0, a1 and so on for an append that raises; return the place of a0."""
    place = None
    with suppress(AppendFailed), index.claims(NOW) as claims:
        for at in range(size):
            assert claims.claim(key(hash_of(1, 2), f"a{at}"), sequence + at, HOUR) is None
        place = claims.claim(key(hash_of(1, 2), "a0"), sequence + size, HOUR)
        raise AppendFailed
    return place


def _stored(index_entries: int, store: IndexStore) -> bool:
    with store.transaction() as txn:
        return txn.stat(store.entries)["entries"] == txn.stat(store.order)["entries"] == index_entries


def test_the_first_claim_of_an_id_gets_it_and_the_second_gets_the_place_of_the_first(store: IndexStore) -> None:
    index = worker(store)
    assert claim(index, "a", 7) is None
    assert claim(index, "a", 8) == Place(LOG, 7, 1, is_durable=False)


def test_another_process_gets_the_place_of_the_first(store: IndexStore) -> None:
    first, second = worker(store), worker(store, OTHER)
    assert claim(first, "a", 7) is None
    first.publish(8)
    assert claim(second, "a", 1) == Place(LOG, 7, 1, is_durable=True)


def test_ids_of_two_properties_are_two_ids() -> None:
    assert (
        len({key(hash_of(1, 2), "a"), key(hash_of(12, 3), "a"), key(hash_of(1, 23), "a"), key(hash_of(1, 2), "3.a")})
        == 4
    )


@pytest.mark.parametrize("later", [0, 1, HOUR - 1])
def test_an_id_is_known_until_its_window_is_over(store: IndexStore, later: int) -> None:
    index = worker(store)
    claim(index, "a", 7)
    assert claim(index, "a", 8, NOW + later) is not None


def test_after_its_window_an_id_belongs_to_the_next_event_and_counts_once(store: IndexStore) -> None:
    index = worker(store)
    claim(index, "a", 7)
    assert claim(index, "a", 8, NOW + HOUR) is None
    assert claim(index, "a", 9, NOW + HOUR + 1) == Place(LOG, 8, 1, is_durable=False)
    assert _stored(1, store)


def test_each_claim_has_its_own_window(store: IndexStore) -> None:
    index = worker(store)
    claim(index, "a", 7)
    assert claim(index, "a", 8, NOW + HOUR, 2 * HOUR) is not None
    assert claim(index, "a", 8, NOW + HOUR, HOUR) is None


def test_two_events_of_one_batch_with_one_id_are_stored_once(store: IndexStore) -> None:
    with worker(store).claims(NOW) as claims:
        assert claims.claim(key(hash_of(1, 2), "a"), 7, HOUR) is None
        assert claims.claim(key(hash_of(1, 2), "a"), 8, HOUR) == Place(LOG, 7, 1, is_durable=False)


@pytest.mark.parametrize("size", [1, 64, 1000])
def test_an_append_that_raises_forgets_its_claims(store: IndexStore, size: int) -> None:
    index, other = worker(store), worker(store, OTHER)
    claim(index, "before", 1)
    _fail_append(index, 2, size)
    assert claim(other, "a0", 1) is None
    assert claim(index, f"a{size - 1}", 2) is None or size == 1
    assert claim(index, "before", 9) is not None


def test_a_claim_that_another_process_saw_before_its_append_failed_is_gone(store: IndexStore) -> None:
    index, other = worker(store), worker(store, OTHER)
    seen = _fail_append(index, 1, 1000)
    assert seen
    claim(index, "b", 1)
    index.publish(2)
    assert other.state(seen) is Fate.GONE


def test_the_oldest_is_evicted_exactly_when_the_bound_would_be_passed(store: IndexStore) -> None:
    index = worker(store, bounds=BOUNDS._replace(entries=10))
    for at in range(10):
        claim(index, str(at), at)
    assert _stored(10, store)
    assert claim(index, "0", 99) is not None
    claim(index, "10", 10)
    assert _stored(10, store)
    assert claim(index, "1", 99) is not None
    assert claim(index, "0", 11) is None


def test_the_bound_holds_for_a_batch_that_is_larger(store: IndexStore) -> None:
    index = worker(store, bounds=BOUNDS._replace(entries=100))
    with index.claims(NOW) as claims:
        for at in range(1000):
            claims.claim(key(hash_of(1, 2), str(at)), at, HOUR)
    assert _stored(100, store)
    assert claim(index, "900", 1) is not None


def test_a_bound_that_was_lowered_is_reached_step_by_step(store: IndexStore) -> None:
    index = worker(store)
    for at in range(100):
        claim(index, str(at), at)
    lower = worker(store, OTHER, bounds=BOUNDS._replace(entries=50))
    for at in range(60):
        claim(lower, f"b{at}", at)
    assert _stored(50, store)


def test_many_workers_keep_one_bound(store: IndexStore) -> None:
    indexes = [worker(store, log_id, bounds=BOUNDS._replace(entries=10)) for log_id in (LOG, OTHER)]
    for at in range(40):
        claim(indexes[at % 3 % 2], str(at), at)
    assert _stored(10, store)
    assert knows(indexes[0], "30")


def test_entries_go_where_pages_are_short_and_the_map_is_never_full(store: IndexStore) -> None:
    bounds = BOUNDS._replace(pages=100)
    index = worker(store, bounds=bounds)
    most = 0
    for start in range(0, 40_000, 500):
        with index.claims(NOW + start) as claims:
            for at in range(start, start + 500):
                claims.claim(key(hash_of(1, 2), str(at)), at, HOUR)
        most = max(most, index.stats(NOW).bytes)
    assert 90 * 4096 < most < 110 * 4096
    assert store.env.info()["last_pgno"] < _MAP_PAGES // 2
    assert claim(index, "39999", 1) is not None


def test_keys_chosen_to_empty_pages_unevenly_do_not_fill_the_map(store: IndexStore) -> None:
    bounds = BOUNDS._replace(pages=400)
    index = worker(store, bounds=bounds)
    sequence = 0
    for start in range(0, 60_000, 100):
        with index.claims(NOW + start) as claims:
            for at in range(start, start + 100):
                # three of four in all pages, and then all in ever other ones: old pages stay nearly empty
                first = at % 251 if start % 4000 < 3000 else start // 4000
                claims.claim(bytes([first]) + at.to_bytes(15), sequence := sequence + 1, HOUR)
    assert index.stats(NOW).bytes < _MAP_PAGES * 4096 * 0.8


def test_entries_older_than_the_longest_window_are_evicted_by_and_by(store: IndexStore) -> None:
    index = worker(store)
    with store.transaction() as txn:
        write_meta(store, txn, read_meta(store, txn)._replace(longest_ms=HOUR))
    for at in range(100):
        claim(index, f"old{at}", at)
    for at in range(100):
        claim(index, f"new{at}", at, NOW + HOUR + 1)
    stats = index.stats(NOW)
    assert (stats.oldest_ms, stats.forgotten) == (NOW + HOUR + 1, 0)


def test_a_clock_that_is_set_back_evicts_nothing_early_and_keeps_the_order(store: IndexStore) -> None:
    index = worker(store, bounds=BOUNDS._replace(entries=3))
    claim(index, "a", 1, NOW + HOUR)
    claim(index, "b", 2, NOW)
    claim(index, "c", 3, NOW)
    claim(index, "d", 4, NOW)
    assert knows(index, "b")
    assert not knows(index, "a")


def test_the_stats_count_entries_bytes_and_the_age_of_the_oldest(store: IndexStore) -> None:
    index = worker(store)
    assert index.stats(NOW) == (0, None, 0, 0)
    claim(index, "a", 1)
    claim(index, "b", 2, NOW + 5)
    assert index.stats(NOW) == (2, NOW, 2 * 4096, 0)


def test_the_stats_count_the_entries_that_had_to_go_before_their_time(store: IndexStore) -> None:
    index = worker(store, bounds=BOUNDS._replace(entries=10))
    for at in range(25):
        claim(index, f"a{at}", at)
    assert index.stats(NOW)[::3] == (10, 15)
