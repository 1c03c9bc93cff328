"""Virus scanners behind `port.Scanner`: clamd and ICAP."""
