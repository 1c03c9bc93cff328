"""What people agreed to, for what their data is processed, and the notice that tells them."""
