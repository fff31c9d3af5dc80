"""What every stage uses: clock, errors, lifecycle, self-metrics. Knows no stage."""
