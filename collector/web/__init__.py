"""The files that a node serves to pages: the tracker, its snippet, and the demo shop. Knows no event and no log."""
