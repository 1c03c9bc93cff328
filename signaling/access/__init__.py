"""Who may do what: key sets, grants and tokens of the Access Manager, roles, and one evaluation."""
