"""PostHog's SDKs. Pure."""
