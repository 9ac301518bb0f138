"""The parts of the stage `figures`."""
