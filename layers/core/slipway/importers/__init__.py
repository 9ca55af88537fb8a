"""What people come from, made into templates. For operators: the layer leaves it out."""
