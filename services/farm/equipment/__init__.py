"""Tractors, pumps, drones: where they stand, how they do, and when they were last looked after."""
