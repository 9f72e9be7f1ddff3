"""What runs, once or on a schedule: each job a plain function of settings and store."""
