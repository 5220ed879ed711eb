"""What runs in production. Nothing here imports the compiler or the engine."""
