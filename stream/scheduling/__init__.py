"""A model that several cameras share: whose request is served when, with whom, and which are answered at once."""
