"""Messages between nodes over ZeroMQ: sockets, credit, topics and the form on the wire."""
