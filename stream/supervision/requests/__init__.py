"""What serves the requests of clients: the methods, and what bounds them (the socket's side is `control.py`)."""
