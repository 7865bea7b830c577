"""The CloudEvents SDK for Python, in both modes of HTTP."""

from report import HOST, KEY, failed, report

# [set up]
import requests
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

URL = f"{HOST}/event?id={KEY}"
event = CloudEvent(
    {"id": "ce-binary", "source": "/shop", "type": "com.example.product.view", "subject": "u-8812"},
    {"product_id": "864115"},
)
message = to_binary_event(event)
answer = requests.post(URL, headers=message.headers, data=message.body)
# [end]
ATTRIBUTES = event.get_attributes() | {"id": "ce-structured"}
message = to_structured_event(CloudEvent(ATTRIBUTES, event.get_data()))
for each in (answer, requests.post(URL, headers=message.headers, data=message.body)):
    if each.status_code != 200 or "code" in each.json():
        failed(f"{each.status_code}: {each.text}")
report()
