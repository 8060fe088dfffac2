"""The pure part of Perdure: history, replay, and the rules by which messages change an instance.

Nothing here reads a clock, draws random numbers, logs, or does I/O; time, ids and data come in as arguments.
"""
