"""Importers from other platforms, for operators. They are not part of the layer."""
