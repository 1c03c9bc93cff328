"""Both buses against one contract; a bus that loses, repeats and reorders."""
