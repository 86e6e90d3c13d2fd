"""PIPS, the point model of the paper."""
