"""What browsers send, by page."""
