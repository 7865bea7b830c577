"""A request for each error code that one request can bring about, and its answer. The page's test sends them."""

from typing import Final

from tools.docs.markdown import fence

_EVENT: Final = "http://127.0.0.1:8080/event"
_SHOP: Final = f"{_EVENT}?portal_id=33167&prop_id=564990801"
_CLICK: Final = "ec=link&sid=1&aid=a&uid=u&resp_type=redirect"
_JSON: Final = "-H 'content-type: application/json'"
_LINK: Final = "redirect_url=https://shop.example.com/"
EXAMPLES: Final = {
    "invalid_query": (
        f"curl -sS '{_EVENT}?portal_id=x'",
        '{"code":"invalid_query","message":"the query failed validation","errors":['
        '{"field":"portal_id","code":"malformed","message":"expected an integer of at least 1"},'
        '{"field":"prop_id","code":"missing","message":"missing"}]}',
    ),
    "invalid_event": (
        f'curl -sS \'{_SHOP}\' {_JSON} \\\n  -d \'{{"ea":"view","ec":"product","sid":-1,"aid":"device-1"}}\'',
        '{"code":"invalid_event","message":"the event failed validation","errors":['
        '{"field":"sid","code":"out_of_range","message":"expected `int` >= 0"},'
        '{"field":"uid","code":"missing","message":"missing"}]}',
    ),
    "invalid_redirect": (
        f"curl -sS \\\n  '{_SHOP}&ea=click&{_CLICK}&redirect_url=https://other.example.com/'",
        '{"code":"invalid_redirect","message":"redirect_url leads to a host that this property does not list",…}',
    ),
    "not_a_click": (
        f"curl -sS \\\n  '{_SHOP}&ea=view&{_CLICK}&{_LINK}'",
        '{"code":"not_a_click","message":"a redirect needs a click event: ea or ec must be click"}',
    ),
    "forbidden": (
        f"curl -sS '{_SHOP}' {_JSON} \\\n  -H 'origin: https://other.example.com' -d '{{\"ea\":\"view\"}}'",
        '{"code":"forbidden","message":"this origin may not send to this property"}',
    ),
    "not_found": (f"curl -sS '{_EVENT}?portal_id=33167&prop_id=7'", '{"message":"404 not found"}'),
    "method_not_allowed": (
        f"curl -sS -X PUT '{_SHOP}' -d '{{}}'",
        '{"code":"method_not_allowed","message":"expected GET, HEAD, OPTIONS, POST"}',
    ),
    "too_large": (
        f'curl -sS \'{_SHOP}\' {_JSON} \\\n  -d "{{\\"ea\\":\\"$(printf \'%2000d\')\\"}}"',
        '{"code":"too_large","message":"the event is over the limit of 1024 bytes"}',
    ),
    "url_too_long": (
        f"curl -sS \"{_SHOP}&ea=$(printf '%021000d')\"",
        '{"code":"url_too_long","message":"the URL is over the limit of 20480 bytes"}',
    ),
    "unsupported_media": (
        f"curl -sS '{_SHOP}' -H 'content-type: image/png' -d 'x'",
        '{"code":"unsupported_media","message":"expected content-type application/json,…}',
    ),
    "rate_limited": (
        f"curl -sS '{_EVENT}?portal_id=33167&prop_id=2&resp_type=json' {_JSON} \\\n"
        '  -d \'[{"ea":"sale","ec":"till"},{"ea":"sale","ec":"till"}]\'',
        '{"code":"rate_limited","message":"…; retry after 1 s"}',
    ),
}
"""By code: a command, and what it prints."""


def example(code: str) -> str:
    """The block of a code's example; empty if it has none."""
    if code not in EXAMPLES:
        return ""
    command, printed = EXAMPLES[code]
    return fence("console", f"$ {command}\n{printed}")
