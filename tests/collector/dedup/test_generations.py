"""An id is never remembered without its event: what restarts, failed commits and restored logs make invalid."""

import pytest

from collector.dedup.generations import KEPT, all_logs
from collector.dedup.layout import Fate, Place
from collector.dedup.store import IndexStore
from tests.collector.dedup.indexes import LOG, OTHER, claim, worker


def _place(place: Place | None) -> Place:
    assert place
    return place


def test_an_event_is_waited_for_until_its_commit_is_published(store: IndexStore) -> None:
    index, other = worker(store), worker(store, OTHER)
    claim(index, "a", 1)
    place = _place(claim(other, "a", 1))
    assert other.state(place) is Fate.WAITING
    index.publish(1)
    assert other.state(place) is Fate.WAITING
    index.publish(2)
    assert other.state(place) is Fate.DURABLE


def test_what_a_restart_finds_in_the_log_is_durable_and_the_rest_is_gone(store: IndexStore) -> None:
    index, other = worker(store), worker(store, OTHER)
    for sequence in (1, 2, 3):
        claim(index, str(sequence), sequence)
    places = [_place(claim(other, str(sequence), 1)) for sequence in (1, 2, 3)]
    again = worker(store, LOG, 3)
    assert [other.state(place) for place in places] == [Fate.DURABLE, Fate.DURABLE, Fate.GONE]
    assert claim(again, "3", 3) is None
    assert _place(claim(other, "3", 1)).generation != places[2].generation
    assert other.state(places[2]) is Fate.GONE


def test_a_failed_commit_frees_its_ids_and_leaves_the_others(store: IndexStore) -> None:
    index, other = worker(store), worker(store, OTHER)
    claim(index, "kept", 1)
    index.publish(2)
    claim(index, "lost", 2)
    place = _place(claim(other, "lost", 1))
    index.failed(2)
    assert other.state(place) is Fate.GONE
    assert claim(index, "another", 2) is None
    index.publish(3)
    assert other.state(place) is Fate.GONE
    assert claim(index, "lost", 3) is None
    assert claim(other, "kept", 1) == Place(LOG, 1, 1, is_durable=True)


def test_a_log_that_is_found_shorter_cuts_all_generations_before(store: IndexStore) -> None:
    for start in (1, 11, 21):
        index = worker(store, LOG, start)
        for sequence in range(start, start + 10):
            claim(index, str(sequence), sequence)
        index.publish(start + 10)
    index = worker(store, LOG, 5)
    worker(store, LOG, 40)
    other = worker(store, OTHER)
    assert [sequence for sequence in range(1, 31) if claim(other, str(sequence), sequence)] == [1, 2, 3, 4]


def test_a_log_that_another_worker_ships_is_settled_and_claims_stay_with_the_own_log(store: IndexStore) -> None:
    dead, index = worker(store, OTHER), worker(store)
    claim(dead, "a", 1)
    claim(dead, "b", 2)
    index.settle(OTHER, 2)
    assert _place(claim(index, "a", 1)).is_durable
    assert claim(index, "b", 1) is None
    assert claim(index, "b", 2) == Place(LOG, 1, 2, is_durable=False)


def test_generations_go_with_the_last_of_their_entries(store: IndexStore) -> None:
    for start in range(1, 500):
        index = worker(store, LOG, start)
        claim(index, "same", start, window_ms=0)
    with store.transaction() as txn:
        assert txn.stat(store.generations)["entries"] <= 2


def test_a_bounded_number_of_generations_is_kept_and_the_oldest_are_forgotten(store: IndexStore) -> None:
    for start in range(1, KEPT + 10):
        claim(worker(store, LOG, start), str(start), start)
    with store.transaction() as txn:
        assert txn.stat(store.generations)["entries"] == KEPT
    other = worker(store, OTHER)
    assert claim(other, "1", 1) is None
    assert claim(other, str(KEPT + 9), 2) is not None


@pytest.mark.parametrize("durable", [4, 2])
def test_a_writer_whose_log_was_taken_for_gone_goes_on(store: IndexStore, durable: int) -> None:
    index, other = worker(store), worker(store, OTHER)
    claim(index, "a", 3)
    other.settle(LOG, 1)
    index.publish(durable)
    with store.transaction() as txn:
        assert all_logs(store, txn)[LOG].durable == durable
    assert claim(index, "a", 4) is None
    assert claim(other, "a", 1) is not None
