"""Load as shops make it, for locust: `make bench-locust`, or `locust -f bench/locustfile.py` for its web page.

Users, sessions and products come from a seeded catalogue, so that two runs send the same events.
"""

import random
from typing import Any

from locust import FastHttpUser, constant, task

_PORTAL = "portal_id=33167&prop_id=564990801&resp_type=json"
_PRODUCTS = [
    {
        "type": "product",
        "id": str(100_000 + number),
        "name": f"Product {number}",
        "price": 1_000 * number,
        "quantity": 1,
    }
    for number in range(1, 1_001)
]
_random = random.Random(1)


class Visitor(FastHttpUser):
    """A visitor who looks at products and now and then puts one in the cart."""

    wait_time = constant(0)

    def on_start(self) -> None:
        """Come with an identity, and no session yet."""
        self.uid = f"u-{_random.randrange(100_000)}"
        self.sid = _random.randrange(2**31)
        self.token = ""

    @task(9)
    def view(self) -> None:
        """Look at a product."""
        self._post("view")

    @task(1)
    def add_to_cart(self) -> None:
        """Put a product in the cart."""
        self._post("add_to_cart")

    def _post(self, action: str) -> None:
        event: dict[str, Any] = {
            "ea": action,
            "ec": "product",
            "sid": self.sid,
            "aid": f"aid-{self.uid}",
            "uid": self.uid,
            "extra": {"location_url": "https://shop.example.com/p/1", "utm_source": "google"},
            "items": [_random.choice(_PRODUCTS)],
        }
        target = f"/event?{_PORTAL}&an_session={self.token}"
        with self.client.post(target, json=event, name=action, catch_response=True) as response:
            if response.status_code == 200 and response.headers.get("x-event-ack") == "fsync":
                self.token = response.json()["an_session"]
            else:
                response.failure(f"{response.status_code}: {response.text}")
