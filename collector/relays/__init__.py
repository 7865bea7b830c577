"""How far the logs of other nodes have arrived here. It knows no request."""
