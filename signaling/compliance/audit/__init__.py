"""Who did what, to what, when and with which result: written once, chained, signed, forwarded."""
