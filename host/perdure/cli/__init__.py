"""The command line: `perdure`. Each command stands in a file of its own and imports what it needs when it runs."""
