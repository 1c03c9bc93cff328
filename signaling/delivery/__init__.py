"""What leaves the server because something happened: push, webhooks, routes; and what comes in."""
