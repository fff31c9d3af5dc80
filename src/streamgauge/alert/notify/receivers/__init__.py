"""Those that are told: one module each, and how they are made of the settings."""
