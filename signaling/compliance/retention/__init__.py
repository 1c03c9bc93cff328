"""How long things are kept, and the sweeper that removes what is older."""
