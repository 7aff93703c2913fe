"""Ids to ids: one beam search, and the engines that it drives."""
