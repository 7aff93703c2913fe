"""Model directories: read and check one, write one."""
