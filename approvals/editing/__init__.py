"""The form in which arguments are edited, made from their JSON Schema. Pure."""
