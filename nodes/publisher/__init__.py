"""The publisher node: gives the masks to any program that subscribes."""
