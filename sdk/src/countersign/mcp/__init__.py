"""`countersign mcp-gateway`: stand in front of an MCP server, and let people approve what its tools do."""

from countersign.mcp.commands import main

__all__ = ["main"]
