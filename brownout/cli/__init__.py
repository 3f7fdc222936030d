"""The commands that Brownout adds to `chaos`. Each imports late: `chaos` loads every plugin at every start."""
