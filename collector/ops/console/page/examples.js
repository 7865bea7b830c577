/** Bodies to begin with in Try, by dialect and type. */

const indented = (value) => JSON.stringify(value, null, 2);
const PAGE = { url: "https://shop.example.com/tv", title: "Televisions" };

const SEGMENT = {
  track: { type: "track", userId: "u-8812", event: "Product Viewed", properties: { product_id: "864115", price: 450 } },
  page: { type: "page", userId: "u-8812", name: "Televisions", properties: PAGE },
  identify: { type: "identify", userId: "u-8812", traits: { plan: "free" } },
  batch: { batch: [{ type: "track", userId: "u-8812", event: "Product Viewed", properties: { product_id: "864115" } }] },
};

/** By dialect: the body for a type. */
export const EXAMPLES = {
  event: (type) =>
    indented({
      ea: type === "redirect" ? "click" : "view", ec: "product", sid: 6320, aid: "38400000-8cf0-11bd-b23e-10b96e40000d", uid: "u-8812",
      items: [{ id: "864115", name: "Tivi Samsung 43 inch", price: 4500000 }],
    }),
  segment: (type) => indented(SEGMENT[type] ?? SEGMENT.track),
  snowplow: () => indented({ schema: "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4", data: [{ e: "pv", p: "web", tv: "js-3.24.0", aid: "shop", ...PAGE }] }),
  matomo: () => indented({ requests: ["?idsite=1&rec=1&action_name=Televisions&url=https%3A%2F%2Fshop.example.com%2Ftv"] }),
  posthog: () => indented({ event: "$pageview", distinct_id: "u-8812", properties: { $current_url: PAGE.url } }),
  cloudevents: () => indented({ specversion: "1.0", id: "1", source: "/shop", type: "product.view", data: { ea: "view", ec: "product" } }),
};
