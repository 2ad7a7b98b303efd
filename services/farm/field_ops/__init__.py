"""Fields, and the operations that are done on them."""
