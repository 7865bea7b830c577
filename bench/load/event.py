"""A real-shaped event of about 0.5 KB, as the load generators send it, and others like it."""

import json
import random

TARGET = "/event?portal_id=33167&prop_id=564990801&resp_type=json"

EVENT = {
    "ea": "view",
    "ec": "product",
    "sid": 6320,
    "aid": "38400000-8cf0-11bd-b23e-10b96e40000d",
    "uid": "u-8812",
    "context": {"app": {"name": "Shop", "version": "4.34.1"}, "os": {"name": "Android", "version": "9"}},
    "extra": {"location_url": "https://shop.example.com/p/864115", "utm_source": "google"},
    "dims": {"category": {"id": "tv", "name": "Điện tử/Tivi"}, "store": {"id": "hn-01", "name": "Hà Nội 1"}},
    "items": [{"type": "product", "id": "864115", "name": "Tivi Samsung 43 inch", "price": 4500000, "quantity": 1}],
}


def encoded(value: object) -> bytes:
    """As JSON without spaces."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


BODY = encoded(EVENT)


def others(count: int) -> list[dict[str, object]]:
    """The event for other visitors and products, always the same ones: equal events would compress to nothing."""
    draw = random.Random(1)
    found = []
    for _ in range(count):
        product = str(draw.randrange(100_000, 1_000_000))
        item = {"type": "product", "id": product, "name": f"Tivi {product}", "price": 1_000 * draw.randrange(10_000)}
        found.append(
            EVENT
            | {
                "sid": draw.randrange(2**31),
                "aid": f"{draw.getrandbits(64):016x}-bd11-b23e-10b96e40000d",
                "uid": f"u-{draw.randrange(1_000_000)}",
                "extra": {"location_url": f"https://shop.example.com/p/{product}", "utm_source": "google"},
                "items": [item | {"quantity": 1}],
            }
        )
    return found
