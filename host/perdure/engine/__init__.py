"""The engine: sessions that load an instance, replay it, commit, send, and acknowledge."""
