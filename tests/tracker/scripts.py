"""Scripts that make a browser lack or break something, to run in a page before its own or in it."""

DAY = 86_400_000
"""In ms."""
NO_STORAGE = "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('no', 'SecurityError') }})"
NO_LOCKS = "delete Navigator.prototype.locks"
NO_KEEPALIVE = "{ const send = window.fetch; window.fetch = (url, {keepalive, ...more}) => send(url, more) }"
SIGNAL = "Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', {get: () => true})"
DO_NOT_TRACK = "Object.defineProperty(Navigator.prototype, 'doNotTrack', {get: () => '1'})"
CLOCK = "{ const now = Date.now; Date.now = () => now() + (window.shift || 0) }"
"""A clock that is wrong by `window.shift`."""
FILL = """(() => {
    for (let size = 1 << 20; size >= 1; size >>= 1)
        for (let number = 0; ; number++)
            try { localStorage[`fill ${size} ${number}`] = 'x'.repeat(size) } catch { break }
})()"""
"""Leaves no room for another character in the storage."""
