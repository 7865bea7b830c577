"""Random cases of crashes and media damage, each told by its seed."""

import errno
from collections import Counter
from collections.abc import Callable
from random import Random

from tests.crash.history import History
from tests.crash.media import DAMAGES, damage_media
from tests.crash.simulated_disk import Fault, PowerCut, SimulatedFiles
from tests.crash.simulated_storage import Disk
from wal.errors import LogPoisoned, WalError

ACTIONS = (*(History.commit,) * 4, History.pause, *(History.ship,) * 2, History.drop)
_CALLS = (
    *("reserve", "write", "sync", "sync_all", "sync_directory", "create", "rename", "truncate") * 2,
    *("symlink", "unlink", "read", "open", "open_directory", "lock", "make_directory", "link"),
)
_NUMBERS = (
    *("cases", "crashes", "faults injected", "media damages", "acknowledged", "found in flight"),
    *("recovered", "reported lost", "lost without report", "duplicated"),
)
_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
_OPENINGS = ("create", "open", "open_directory", "lock")
_NO_DESCRIPTOR = (errno.EMFILE, errno.ENFILE)


def run_cases(count: int, seed: int, kind: type[SimulatedFiles] = SimulatedFiles) -> Counter[str]:
    """Run so many cases from this seed on, on disks of this kind. Raises Violation; a note on it tells the seed."""
    tally: Counter[str] = Counter()
    for number in range(seed, seed + count):
        try:
            run_case(number, tally, kind)
        except Exception as error:
            error.add_note(f"TRACKLOG_SEED={number} repeats this case alone")
            raise
    return tally


def run_case(seed: int, tally: Counter[str], kind: type[SimulatedFiles] = SimulatedFiles) -> None:
    """One log from its first start through some crashes to its last event delivered."""
    random = Random(seed)
    history = History(random, kind(random, Disk(is_journaled=random.random() < 0.5)), tally)
    has_damage = random.random() < 0.5
    for _ in range(random.randint(1, 5)):
        arm(random, history.files)
        actions = [random.choice(ACTIONS) for _ in range(random.choice((0, 3, 10, 20)))]
        if random.random() < 0.2:
            actions.append(History.stop)
        all(survives(history, action) for action in (History.start, *actions))
        die(history)
        if has_damage and history.is_at_rest and not history.is_unseen and random.random() < 0.6:
            damage_media(history, random.choice(DAMAGES))
        if history.is_at_rest and random.random() < 0.2:
            history.check_recovery_is_idempotent()
    history.start()
    history.finish()


def arm(random: Random, files: SimulatedFiles) -> None:
    """Choose what will go wrong for this process."""
    if random.random() < 0.5:
        files.crash_at = files.calls + random.choice((random.randint(1, 30), random.randint(1, 200)))
    if random.random() < 0.4:
        for _ in range(random.randint(1, 3)):
            call = random.choice(_CALLS)
            errors = (*_ERRORS, *_NO_DESCRIPTOR) if call in _OPENINGS else _ERRORS
            files.faults.append(Fault(call, random.choice((1, 2, 5, 20)), random.choice(errors)))
    if random.random() < 0.1:
        files.disk.capacity = random.randint(1000, 40_000)
    if random.random() < 0.1:
        files.disk.inodes = random.randint(4, 80)
    if random.random() < 0.3:
        files.short_writes = 0.5


def survives(history: History, action: Callable[[History], None]) -> bool:
    """Do this; whether the process goes on behind it. A start may fail where something was to go wrong."""
    try:
        action(history)
    except PowerCut:
        return False
    except LogPoisoned:
        if history.log is not None:
            history.check_poison()
        return False
    except (OSError, WalError):
        if history.log is not None or (not history.files.fired and history.files.has_room):
            raise
        return False
    return True


def die(history: History) -> None:
    """The end of the process: with its machine, or alone."""
    if history.random.random() < 0.7:
        history.crash()
    else:
        history.kill()


def closing_line(tally: Counter[str], seconds: float) -> str:
    """The numbers of a run, for people. Acknowledged and found in flight add up to recovered and lost."""
    return f"{', '.join(f'{name} {tally[name]:,}' for name in _NUMBERS)}; {seconds:.0f} s"
