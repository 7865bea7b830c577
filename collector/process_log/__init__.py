"""The process log: its events, how a line looks, and how often one is written. Knows no part of the service."""
