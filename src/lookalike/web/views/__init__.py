"""The pages, one module per place a person can go to; each view is short and asks elsewhere."""
