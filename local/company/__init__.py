"""A company's sign-in on loopback: an OpenID provider with people to try Slipway with.

The protocol is Authlib's; this folder has its clients, people, codes and tokens, in memory.
"""
