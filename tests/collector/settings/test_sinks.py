"""The table of sink kinds: a new one is a module of its own and one line there."""

import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

import collector
from collector.settings import load_settings
from collector.settings.sinks import SINK_KINDS, SinkSettings, kind_of, sink_class, sink_settings

_FOLDER = Path(collector.__file__).parent


def _names(kind: str) -> list[str]:
    """The classes and functions of a kind."""
    found = SINK_KINDS[kind]
    return [place.partition(":")[2] for place in (found.settings, found.sink, found.holdings) if place]


@pytest.mark.parametrize("kind", SINK_KINDS)
def test_a_kind_has_the_settings_that_all_have_and_defaults_for_them(kind: str) -> None:
    struct = sink_settings(kind)
    assert issubclass(struct, SinkSettings)
    assert struct.__struct_config__.tag == kind
    common = [field for field in msgspec.structs.fields(struct) if field.name in SinkSettings.__struct_fields__]
    assert len(common) == 4
    assert all(not field.required for field in common)


@pytest.mark.parametrize("kind", SINK_KINDS)
def test_a_kind_has_a_sink(kind: str) -> None:
    fields = msgspec.structs.fields(sink_settings(kind))
    settings = msgspec.convert(
        {"type": kind, **{field.name: "x" if field.name != "brokers" else ["x"] for field in fields if field.required}},
        sink_settings(kind),
    )
    assert kind_of(settings) == kind
    assert all(callable(getattr(sink_class(settings), name)) for name in ("open", "deliver", "close"))


@pytest.mark.parametrize("kind", SINK_KINDS)
def test_no_module_names_a_kind_but_its_own_and_the_table(kind: str) -> None:
    named = re.compile("|".join(rf"\b{name}\b" for name in _names(kind)))
    found = {path.relative_to(_FOLDER).as_posix() for path in _FOLDER.rglob("*.py") if named.search(path.read_text())}
    own = {name for name in found if name.startswith((f"ship/sinks/{kind}.py", f"ship/sinks/{kind}/"))}
    assert own
    assert found - own == {"settings/sinks.py"}


@pytest.mark.parametrize("text", ["x = 1", 'type = "pigeon"', "type = 1"])
def test_a_sink_of_an_unknown_kind_is_a_fault_that_lists_the_kinds(tmp_path: Path, text: str) -> None:
    path = tmp_path / "collector.toml"
    path.write_text(f"[[sink]]\n{text}")
    with pytest.raises(Exception, match=r"sink\[0\]\.type: expected `file`, .* or `http`"):
        load_settings(str(path))


def test_reading_the_settings_of_sinks_imports_no_client_library(tmp_path: Path) -> None:
    path = tmp_path / "collector.toml"
    path.write_text(
        '[[sink]]\ntype = "kafka"\nbrokers = ["a:1"]\n'
        '[[sink]]\ntype = "http"\nurl = "http://a"\n'
        '[[sink]]\ntype = "objects"\nurl = "s3://b"\n'
        '[[sink]]\ntype = "file"\ndir = "c"\nformat = "parquet"\n'
    )
    program = (
        "import sys; from collector.settings import load_settings; load_settings(sys.argv[1]); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], check=True, capture_output=True, text=True)
    assert set(done.stdout.split()) & {"confluent_kafka", "aiohttp", "obstore", "pyarrow"} == set()
