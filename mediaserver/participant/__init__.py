"""One participant's media, split by what it does: state, publishing, subscribing, data."""
