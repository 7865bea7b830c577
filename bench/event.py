"""A real-shaped event of about 0.5 KB, as the load generators send it."""

import json

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
BODY = json.dumps(EVENT, ensure_ascii=False, separators=(",", ":")).encode()
