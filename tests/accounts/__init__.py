"""Accounts: people, sign-in, tokens, teams, sockets."""
