"""The live view: the newest rows of all logs, from tail to stream. Writes no file."""
