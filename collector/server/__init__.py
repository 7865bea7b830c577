"""The processes of `collector serve`: starts, restarts and stops workers. Must not know what a request or event is."""
