"""Each SDK, its host and key changed, sends all its calls: all are in the log, none is refused, no error is told."""

import pytest
from playwright.sync_api import Browser

from tests.clients.installed import missing, run
from tests.clients.pages import visit
from tests.clients.sdks import SDKS, Sdk
from tests.clients.stored import differences, of_sdk
from tests.running import Collector, eventually


def _parameter(sdk: Sdk) -> object:
    why = missing(sdk)
    marks = [pytest.mark.skipif(bool(why), reason=why), *([] if sdk.is_quick else [pytest.mark.clients])]
    return pytest.param(sdk, id=sdk.name, marks=marks)


@pytest.mark.parametrize("sdk", [_parameter(each) for each in SDKS if not each.is_of_pages])
def test_every_call_of_an_sdk_is_in_the_log(sdk: Sdk, collector: Collector) -> None:
    assert run(sdk, f"http://127.0.0.1:{collector.port}") == {"errors": []}
    _check(sdk, collector)


@pytest.mark.parametrize("sdk", [_parameter(each) for each in SDKS if each.is_of_pages])
def test_every_call_of_an_sdk_in_a_page_is_in_the_log(
    sdk: Sdk, collector: Collector, origin: str, browser: Browser
) -> None:
    errors = visit(browser, origin, sdk, f"http://localhost:{collector.port}")
    assert not errors, "\n".join(errors)
    least = sum(call.least for call in sdk.calls)
    eventually(lambda: len(of_sdk(collector.stored(), sdk)) >= least, "what is sent at the end is stored")
    _check(sdk, collector)


def _check(sdk: Sdk, collector: Collector) -> None:
    found = differences(of_sdk(collector.stored(), sdk), sdk)
    assert not found, "\n".join(found)
    assert of_sdk(collector.dead(), sdk) == []
