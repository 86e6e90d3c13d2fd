"""The capture node: opens a source and stamps its frames."""
