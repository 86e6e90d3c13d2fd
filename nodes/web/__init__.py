"""The web node: a page on which people see the feed and click in it, and HTTP for programs."""
