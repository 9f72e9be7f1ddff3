"""Loopback servers that speak the platforms' protocols, and the mention generator behind them.

For ``listener demo``, tests and benchmarks; nothing of the pipeline imports this package.
"""
