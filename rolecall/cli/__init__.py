"""The command line: invoke's program with Rolecall's manners, and what tasks.py is made of."""
