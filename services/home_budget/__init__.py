"""Home budget: expenses and incomes over HTTP, kept by outlive in two JSON files, in PostgreSQL, or in both."""
