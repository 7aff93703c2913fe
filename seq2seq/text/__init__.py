"""What happens to text before the model reads it and after it has written."""
