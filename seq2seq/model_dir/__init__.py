"""Model directories: read and check one, write one, pack and unpack its weights."""
