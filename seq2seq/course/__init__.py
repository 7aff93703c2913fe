"""A course of six lessons: the exercises, and what marks a learner's answers.

`lessons` lists them; each `lesson..._...` module has the exercises of one, its file in `skeletons`
is what a learner begins with, and `marking` marks what has become of it.
"""
