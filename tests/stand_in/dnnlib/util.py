"""Stands in for NVIDIA's."""


class EasyDict(dict):
    pass
