"""Models of a project as the stages read, train and describe them."""
