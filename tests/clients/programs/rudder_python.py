"""Every call of RudderStack's SDK for Python."""

from report import HOST, KEY, failed, report

# [set up]
from rudderstack import analytics

analytics.write_key = KEY
analytics.dataPlaneUrl = HOST
# [end]
analytics.on_error = failed

PERSON = {"user_id": "u-8812", "anonymous_id": "device-1"}
PRODUCTS = [{"product_id": "864115", "price": 19}, {"sku": "45790-32", "price": 8.5}]
analytics.identify(**PERSON, traits={"email": "a@example.com", "plan": "pro"})
analytics.track(**PERSON, event="Product Viewed", properties={"product_id": "864115", "price": 45})
analytics.track(**PERSON, event="Order Completed", properties={"order_id": "o-1", "total": 27.5, "products": PRODUCTS})
analytics.page(**PERSON, category="Docs", name="Home", properties={"url": "https://shop.example.com/"})
analytics.screen(**PERSON, name="Home")
analytics.group(**PERSON, group_id="g-1", traits={"name": "Acme"})
analytics.alias(previous_id="device-1", user_id="u-8812")
analytics.shutdown()
report()
