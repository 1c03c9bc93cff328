"""One module for each command of `sotto`: its help, its arguments, and its run. Driven by `cli`."""
