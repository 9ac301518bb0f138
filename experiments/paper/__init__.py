"""The paper's tables, figures and claims, and the flow that reproduces them."""
