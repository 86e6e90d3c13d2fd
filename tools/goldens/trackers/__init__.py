"""Golden numbers of the point trackers beside PIPS, and the weights by rule that they were made with."""
