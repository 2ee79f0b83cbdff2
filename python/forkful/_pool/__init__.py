"""The parts of a pool: what it draws, runs, gives back, and how its workers are replaced."""
