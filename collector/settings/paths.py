"""The paths of dialects, and the settings that name a path which is taken, pure."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from collector.settings.faults import SettingFault
from collector.settings.fields import DEMO_PATH, DialectName

DIALECT_PATHS: Final[Mapping[DialectName, tuple[str, ...]]] = {
    "segment": (
        *("/v1/batch", "/v1/import", "/v1/b", "/v1/t", "/v1/track", "/v1/i", "/v1/identify", "/v1/p", "/v1/page"),
        *("/v1/s", "/v1/screen", "/v1/g", "/v1/group", "/v1/a", "/v1/alias", "/beacon/v1/batch"),
    ),
    "snowplow": ("/com.snowplowanalytics.snowplow/tp2", "/i"),
    "matomo": ("/matomo.php", "/piwik.php"),
    "posthog": ("/batch", "/e", "/i/v0/e", "/capture", "/track", "/engage"),
    "cloudevents": (),
}
"""The paths of each dialect, which are served with a slash at the end, too."""
_Owner = tuple[str, tuple[str, ...]]
"""The owner of a path, and the settings of the server that this follows from."""


def path_faults(
    paths: Mapping[str, str | None], dialects: Iterable[DialectName], *, has_demo: bool
) -> Iterator[SettingFault]:
    """Yield a fault for each setting whose path something else has, too. `paths` has the settings by their names."""
    taken = _paths_of_dialects(dialects)
    alias = paths["alias"]
    for name, path in paths.items():
        if not path:
            continue
        if name != "alias" and alias and _is_script_of(alias, path):
            taken[path] = (f"the page tracker's, because server.alias is {alias}", ("alias",))
        elif has_demo and _is_in_demo(path):
            taken[path] = ("the demo shop's", ("demo",))
        if path in taken and not (name == "snowplow_path" and path in DIALECT_PATHS["snowplow"]):
            owner, reads = taken[path]
            yield SettingFault(name, f"{path} is also {owner}; choose another", reads=(name, *reads))
        taken.setdefault(path, (f"server.{name}", (name,)))


def _paths_of_dialects(dialects: Iterable[DialectName]) -> dict[str, _Owner]:
    return {
        path + end: (f"a path of the dialect {dialect}", ("dialects",))
        for dialect in dialects
        for path in DIALECT_PATHS[dialect]
        for end in ("", "/")
    }


def _is_script_of(alias: str, path: str) -> bool:
    return re.fullmatch(rf"{re.escape(alias)}(\.[0-9a-f]+)?\.js", path) is not None


def _is_in_demo(path: str) -> bool:
    return path == DEMO_PATH or path.startswith(f"{DEMO_PATH}/")
