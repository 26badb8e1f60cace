"""How a proposal is read: what it says in words, and what in it deserves a second look. Pure."""
