"""What a node serves to pages: the tracker, and the demo shop that uses it. Knows no event, and reads no setting."""
