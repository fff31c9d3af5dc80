"""Who may do what: keys, the dashboard's sessions, limits of rates, the audit log. See docs/adr on keys."""
