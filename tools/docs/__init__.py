"""Generates the parts of the documentation that follow from the code. Each module makes some of them."""
