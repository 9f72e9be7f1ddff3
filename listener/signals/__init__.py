"""What is heard in a mention: pure functions from text to signals, without I/O and without a database."""
