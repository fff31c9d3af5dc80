"""The same system in several processes: the other composition root. What `app` puts into one, this takes apart."""
