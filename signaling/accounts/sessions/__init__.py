"""Sessions: who is signed in on which device, the tokens that say so, and their end."""
