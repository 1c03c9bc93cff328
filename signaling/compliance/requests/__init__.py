"""Requests of data subjects that people answer: received, due, reminded, answered."""
