"""Work on request that is not a stage: translating folders, measuring models, reports, clean-up."""
