"""7 act: rules are evaluated, and who must know is told."""
