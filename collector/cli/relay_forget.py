"""`collector relay forget`."""

import argparse
import asyncio

from msgspec.structs import replace

from collector.errors import BadSettings, Overloaded, RelayBlocked
from collector.relays.marks import Marks, RelayMark
from collector.settings import load_settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the log's id."""
    parser.add_argument("log_id", metavar="LOG_ID", help="as printed by `collector relay ls`")
    parser.epilog = "example: collector relay forget 3f9c2a7100112233"


def run(options: argparse.Namespace) -> int:
    """Release a log from its key. Its position stays, so that no event is stored twice."""
    marks = Marks(load_settings(options.config).log.dir)
    if options.log_id not in marks.log_ids():
        raise BadSettings(f"no log {options.log_id} was relayed to this node; `collector relay ls` lists them")
    try:
        mark = asyncio.run(_forget(marks, options.log_id))
    except RelayBlocked as error:
        raise BadSettings(str(error)) from None
    except Overloaded as error:
        raise BadSettings(f"{error}; try again") from None
    print(f"log {options.log_id} is bound to no key; the next relay key that sends it gets it, from event {mark.next}")
    return 0


async def _forget(marks: Marks, log_id: str) -> RelayMark:
    async with marks.held(log_id):
        mark = replace(marks.read(log_id), key=None)
        await marks.save(log_id, mark)
    return mark
