"""The page tracker in real browsers: scenes with faults, and what the log holds at their end."""

import pytest

BOTH = pytest.mark.parametrize("browser", ["chromium", "firefox"], indirect=True)
"""Of a scene that runs in every browser; the others run in Chromium, which alone can be told to do such things."""
