"""A child beside its function: how it is started, what it is told, what it runs, how it ends."""
