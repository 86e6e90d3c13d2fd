"""The supervisor: keeps the nodes alive, holds the session of prompts and objects, serves requests."""
