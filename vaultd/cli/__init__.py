"""The command line: one file per command group, rendering apart from logic, heavy imports only where they are used."""
