"""vaultd: encrypted off-site backup and evacuation for classified material."""

__version__ = "0.1.0"
