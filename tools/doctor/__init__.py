"""`tools/ctl.py doctor`: a config in; for each part of the set-up whether it is right, and else what to mend, out."""
