"""Drawing query points from masks: the rules, how many of which kind, and the thread that does it on a live feed."""
