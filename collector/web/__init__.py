"""The tracker for pages: its source in TypeScript, and the built files that every node serves. Knows nothing of the service."""
