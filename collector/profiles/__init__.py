"""The life of a profile's versions at the centre: examined, published, rolled out, taken back."""
