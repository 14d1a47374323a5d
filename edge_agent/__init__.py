"""The edge agent: takes in sensors and cameras, keeps them on site, forwards what policy allows."""
