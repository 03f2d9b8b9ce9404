"""Draws the two sample pictures that are this project's own: `python -m assets.drawing` (or `make samples`) writes them anew.

They show what photos lack and upscalers find hard: type, hairlines at many angles, regular patterns, flat colours with outlines,
hatching. All is computed with Pillow and numpy; the type is Aileron, which is in the public domain (CC0) and comes with Pillow.
"""
