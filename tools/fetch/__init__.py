"""What `tools/fetch_weights.py` is made of: the transfer, the file on its way, the check, the progress."""
