"""The toxics: one file each, registered by name."""
