"""A model that several cameras share: whose request is served when, with whom; and a thread that works beside a feed."""
