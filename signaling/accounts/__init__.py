"""Who somebody is: accounts and their roles, sign-in, factors, invitations, guests, sessions."""
