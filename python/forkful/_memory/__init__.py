"""What shared_memory and resource_tracker are made of."""
