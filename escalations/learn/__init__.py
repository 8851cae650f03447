"""What is learned from decisions: versions of the classifier, and what lanes earn by them."""
