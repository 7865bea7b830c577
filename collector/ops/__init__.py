"""What operators learn of a running node. It knows neither requests nor sinks."""
