"""The proxy node: one endpoint for what the publishers of several cameras say."""
