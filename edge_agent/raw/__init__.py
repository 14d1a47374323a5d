"""What came in, kept as it came: the ground on which another profile version can be tried."""
