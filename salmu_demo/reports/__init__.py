"""Reports: tables and figures to take away."""
