"""What the manifest cannot say in YAML: one module per idea, each class with the reason why it exists."""
