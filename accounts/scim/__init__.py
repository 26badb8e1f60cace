"""SCIM 2.0 for the company's directory (RFC 7643, RFC 7644): people and the members of its teams, and nothing else."""
