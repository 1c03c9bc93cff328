"""Every store adapter against one contract, and what each promises beyond it."""
