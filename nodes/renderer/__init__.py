"""The renderer node: draws the masks and writes them to sinks."""
