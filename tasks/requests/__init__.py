"""What is done on request and is no stage: folders translated, models measured, reports, clean-ups."""
