"""Listener hears what the public says about a hospital and counts it by channel, topic and week."""
