"""Plans, subscriptions, invoices and payments of the farms that use the platform, and what they have used."""
