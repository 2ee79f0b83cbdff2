"""`forkful run`, and standing in for the standard package."""
