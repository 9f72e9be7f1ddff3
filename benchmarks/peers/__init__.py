"""The whole path beside its peers; each script here runs in an environment of its own."""
