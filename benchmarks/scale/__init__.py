"""Plan for scale: a thousand workers on one hub, in virtual time, and what Azure's limits and prices allow."""
