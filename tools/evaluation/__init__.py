"""What `tools/evaluate.py` measures quality with: one file a subject, and what they share."""
