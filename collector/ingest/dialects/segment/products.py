"""The products in the properties of a call of Segment's family become items, pure."""

from typing import Final

import msgspec
from msgspec import Raw

from collector.ingest.dialects.segment.call import is_object

_IDS: Final[tuple[str, ...]] = ("product_id", "sku")
_MOST_OBJECTS: Final = 1000
"""Objects in `products`, nested ones too. Reading so many takes 1 ms."""
_MOST_COMMAS: Final = 20 * _MOST_OBJECTS
_FIRST: Final = b'"-0123456789'
_decode_members: Final = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_array: Final = msgspec.json.Decoder(list[Raw]).decode
_decode_objects: Final = msgspec.json.Decoder(list[dict[str, Raw]]).decode
_encode: Final = msgspec.json.encode


def take_items(properties: dict[str, Raw]) -> list[dict[str, Raw]]:
    """Move the products out of `properties`, and return them as items.

    The objects in `products` are items; whatever else is in it stays there. Without any, `product_id` and `sku` are the
    one item. The `id` of an item is its `product_id`, else its `sku`, which has no second place; a product that has an
    `id` stays as it is.
    """
    products, others = _split(bytes(properties.get("products", b"")))
    if products:
        properties.pop("products")
        if others:
            properties["products"] = Raw(_encode(others))
        return [_item(product) for product in products]
    product = {name: properties.pop(name) for name in _IDS if name in properties and _is_id(properties[name])}
    return [_item(product)] if product else []


def _split(array: bytes) -> tuple[list[dict[str, Raw]], list[Raw]]:
    """The objects and the other elements of an array. Both empty if it is not an array or has too many objects."""
    if array[:1] != b"[" or array.count(b"{") > _MOST_OBJECTS or array.count(b",") > _MOST_COMMAS:
        return [], []
    try:
        return _decode_objects(array), []
    except msgspec.ValidationError:
        elements = _decode_array(array)
    return (
        [_decode_members(element) for element in elements if is_object(element)],
        [element for element in elements if not is_object(element)],
    )


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
