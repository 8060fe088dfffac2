"""The local Functions host behind `perdure start`.

It runs any Python (v2 model) Function app and knows nothing of durable functions: messages, requests and timers
reach the same trigger functions that Azure would call. `process.run_host` runs an app in this process,
`supervisor.Supervisor` keeps such a process alive and restarts it when a file changes.
"""
