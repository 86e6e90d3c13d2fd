"""What outlives a run, as plain files in one folder (`--state DIR`, docs/operations.md): versioned, written whole."""
