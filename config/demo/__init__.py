"""Lindgren & Hale, the made-up company of `make demo`: furniture and outdoor goods, sold online from Rotterdam.

Everything here is invented for the demo: people, customers, vendors, conversations, mistakes."""
