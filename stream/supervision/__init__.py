"""The supervisor: nodes kept alive, a session of prompts and objects, control, status."""
