"""Who may do what: sessions, passwords, the login form, and where a request comes from."""
