"""The products in the properties of a call of Segment's family become items, pure."""

from typing import Final

import msgspec
from msgspec import Raw

from collector.ingest.dialects.segment_call import is_object

_IDS: Final[tuple[str, ...]] = ("product_id", "sku")
_FIRST: Final = b'"-0123456789'
_decode_members: Final = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_array: Final = msgspec.json.Decoder(list[Raw]).decode
_encode: Final = msgspec.json.encode


def take_items(properties: dict[str, Raw]) -> list[dict[str, Raw]]:
    """Move the products out of `properties`, and return them as items.

    The objects in `products` are items; whatever else is in it stays there. Without any, `product_id` and `sku` are the
    one item. The `id` of an item is its `product_id`, else its `sku`, which has no second place; a product that has an
    `id` stays as it is.
    """
    products = properties.get("products", Raw())
    if bytes(products)[:1] == b"[":
        elements = _decode_array(products)
        if items := [_item(_decode_members(each)) for each in elements if is_object(each)]:
            properties.pop("products")
            if others := [each for each in elements if not is_object(each)]:
                properties["products"] = Raw(_encode(others))
            return items
    product = {name: properties.pop(name) for name in _IDS if name in properties and _is_id(properties[name])}
    return [_item(product)] if product else []


def _item(product: dict[str, Raw]) -> dict[str, Raw]:
    if "id" in product and _is_id(product["id"]):
        return product
    for name in _IDS:
        if name in product and _is_id(product[name]):
            product.pop("id", None)
            return {"id": product.pop(name), **product}
    return product


def _is_id(raw: Raw) -> bool:
    """Whether a value is a text that is not empty, or a number."""
    text = bytes(raw)
    return text[0] in _FIRST and text != b'""'
