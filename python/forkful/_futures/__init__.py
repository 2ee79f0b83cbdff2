"""The parts of the executor: its futures, its workers, and the thread that ends it."""
