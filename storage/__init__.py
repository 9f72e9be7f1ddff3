"""The only place that speaks SQL: the normalised store on SQLite and PostgreSQL."""
