"""A model that several cameras share: whose request is served when, with whom; the thread that works beside a feed."""
