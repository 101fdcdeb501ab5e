"""Role preflight: whether the model can be served here, found out before anything heavy."""
