"""SAM-PT over finished clips, as the paper runs it: what the live graph is compared with."""
