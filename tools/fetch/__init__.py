"""What `tools/fetch_weights.py` fetches with: the transfer, and the files that it writes."""
