"""Work in the fields: who does what until when, what was found, and how it came about."""
