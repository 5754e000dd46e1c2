"""Nearest neighbors: exact, through compressed codes, and through k-means clusters.

`building` makes an index of a whole collection and tunes it to a recall target, `files` keeps it on
disk, `tail` adds what came and hides what went since. All kinds answer alike: see `base`.
"""
