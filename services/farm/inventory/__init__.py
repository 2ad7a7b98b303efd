"""When a tenant wants to hear of stock that expires, and how."""
