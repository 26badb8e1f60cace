"""Ways out of the page: choices of channels, chat addresses and where they may lead. Pure."""
