"""What the commands do, without their option parsing: paths in, paths out, a small frozen result."""
