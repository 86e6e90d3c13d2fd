"""Processes of cameras on other hosts: asked of a Ray cluster, started by an agent there, and told of over ZeroMQ."""
