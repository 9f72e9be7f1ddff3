"""Trains the models that ``listener.signals`` ships, and measures them: ``python -m benchmarks.train --help``."""
