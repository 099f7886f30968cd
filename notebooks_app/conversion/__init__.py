"""What runs outside the hub's process and environment to turn notebooks into other formats."""
