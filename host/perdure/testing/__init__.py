"""Testing durable code: virtual time, and simulations in which workers crash and messages misbehave."""

from perdure.testing.simulation import Faults, Simulation
from perdure.testing.virtual_time import VirtualClock, VirtualTimeLoop, run_virtual

__all__ = ["Faults", "Simulation", "VirtualClock", "VirtualTimeLoop", "run_virtual"]
