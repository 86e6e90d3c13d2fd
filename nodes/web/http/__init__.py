"""HTTP: the routes, the gate that every request passes, and the answers."""
