"""Archives: files of mentions that somebody else has read. Each module does one step of :mod:`jobs.importing`."""
