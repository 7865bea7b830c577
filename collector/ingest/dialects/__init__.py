"""Who speaks how: requests of another form than the API page's, to the same log."""
