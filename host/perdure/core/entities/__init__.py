"""Entities: what one takes in, in which order, and what its operations may do. Pure, like the rest of the core."""
