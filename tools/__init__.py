"""Commands beside run_stream.py, each with --help."""
