"""Golden numbers: files of them in, the errors of our own answers out; and the weights that they were made with."""
