"""Lines of logs as rows: decoded, filtered, and without what must stay hidden. Knows neither files nor streams."""
