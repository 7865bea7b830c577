"""Every call of PostHog's SDK for Python that sends an event."""

from report import HOST, KEY, failed, report

# [set up]
from posthog import Posthog

posthog = Posthog(KEY, host=HOST, on_error=failed)
# [end]

PERSON = "u-8812"
posthog.capture("product viewed", distinct_id=PERSON, properties={"product_id": "864115", "price": 45})
posthog.capture("$pageview", distinct_id=PERSON, properties={"$current_url": "https://shop.example.com/"})
posthog.capture("$screen", distinct_id=PERSON, properties={"$screen_name": "Home"})
posthog.set(distinct_id=PERSON, properties={"email": "a@example.com"})
posthog.set_once(distinct_id=PERSON, properties={"first_page": "/"})
posthog.alias("device-1", PERSON)
posthog.group_identify("company", "g-1", {"name": "Acme"}, distinct_id=PERSON)
posthog.capture_exception(ValueError("an error of the shop"), distinct_id=PERSON)
posthog.shutdown()
report()
