"""What the supervisor's loop keeps going: the nodes of each camera, and those that several cameras have in common."""
